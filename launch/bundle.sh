#!/usr/bin/env bash
# Sets up Lockstep on Debian 12, builds it and packs it into one tarball for machines without network, compiler or root:
#
#   ./launch/bundle.sh [--with-cuda-libraries] [--with-tests] [--without-cuda] [OUT.tar.xz]
#
# OUT is bundles/lockstep-VERSION-x86_64-linux.tar.xz unless given. What the options mean: launch/bundle/pack.sh. How to use it: docs/clusters.md.
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")/.."
. launch/set_up.sh

options=() out= targets=(lockstep_program lockstep_plug_ins) cmake_options=()
for argument in "$@"; do
  case $argument in
    --with-tests) targets+=(gpu_tests) ;;
    --without-cuda) cmake_options+=(-DLOCKSTEP_CUDA=OFF) ;;
    --with-cuda-libraries) ;;
    -*) echo "bundle: unknown option \"$argument\"; known: --with-cuda-libraries, --with-tests, --without-cuda" >&2 && exit 64 ;;
    *) out=$(cd "$called_from" && realpath -m "$argument") && continue ;;
  esac
  options+=("$argument")
done

install_packages "${lockstep_packages[@]}" "${lockstep_bundle_packages[@]}"
folder=build-bundle tests=OFF
case " ${options[*]} " in *" --with-tests "*) tests=ON && install_packages "${lockstep_test_packages[@]}" ;; esac
case " ${options[*]} " in
  *" --without-cuda "*) folder=build-bundle-cpu ;;
  *) fetch_cudnn_frontend && cmake_options+=(-DLOCKSTEP_CUDA=ON) ;; # say what is missing rather than leave it out silently
esac
configure_and_build $folder "${targets[@]}" -- -DLOCKSTEP_TESTS=$tests "${cmake_options[@]}"
version=$($folder/bin/lockstep --version | sed -n '1s/^lockstep \([^ ]*\).*/\1/p')
launch/bundle/pack.sh $folder "${out:-bundles/lockstep-$version-x86_64-linux.tar.xz}" "${options[@]}"
