#!/usr/bin/env bash
# Sets up Lockstep on Debian 12, builds everything and runs every test: ./launch/test.sh [ctest options]
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/set_up.sh

install_packages "${lockstep_packages[@]}" "${lockstep_test_packages[@]}" "${lockstep_bundle_packages[@]}"
fetch_cudnn_frontend
configure_and_build build-tests all
mpi_environment
ctest --test-dir build-tests --output-on-failure --no-tests=error -j "$(nproc)" "$@"
