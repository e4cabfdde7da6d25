#!/usr/bin/env bash
# Shared by quickstart.sh and test.sh: what Lockstep needs on Debian 12, and how it is built.
# Source it; it defines functions and starts nothing.

lockstep_packages=(
  g++ cmake ninja-build git ca-certificates
  openmpi-bin libopenmpi-dev libhdf5-dev libdnnl-dev libgomp1
  libboost-program-options-dev libboost-dev libtomlplusplus-dev nlohmann-json3-dev
  libspdlog-dev libfmt-dev libxxhash-dev zlib1g-dev
  dataset-fashion-mnist
)
lockstep_test_packages=(libgtest-dev hdf5-tools ccache python3)

# Installs those of the named packages that are missing; says which; needs root or sudo only then.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  if [ "${#missing[@]}" -eq 0 ]; then
    echo "packages: all there"
    return
  fi
  if ! command -v apt-get >/dev/null; then
    echo "packages: this script installs Debian packages; install their like yourself: ${missing[*]}" >&2
    return 1
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "packages: neither root nor sudo; ask your administrator for: apt-get install --no-install-recommends ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "packages: installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# configure_and_build FOLDER TARGETS... -- CMAKE_OPTIONS...
configure_and_build() {
  local folder=$1 targets=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    targets+=("$1")
    shift
  done
  [ $# -gt 0 ] && shift
  echo "build: $folder"
  cmake -S . -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release "$@" >"$folder.log" 2>&1 || {
    tail -30 "$folder.log" >&2
    return 1
  }
  cmake --build "$folder" --target "${targets[@]}" >>"$folder.log" 2>&1 || {
    grep -E -A5 'error|FAILED' "$folder.log" | head -60 >&2
    echo "build: failed; the whole log is $folder.log" >&2
    return 1
  }
}

# Open MPI refuses root unless told twice; the rest suits small and shared machines alike.
mpi_environment() {
  if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
}
