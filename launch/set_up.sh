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
# MPICH beside Open MPI: the MPI plug-in is built again for it. Debian keeps mpirun and mpicc Open MPI's.
lockstep_test_packages=(libgtest-dev libboost-context-dev hdf5-tools ccache python3 mpich libmpich-dev)
lockstep_bundle_packages=(patchelf xz-utils)

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

# Where there is an nvcc: the headers of cudnn-frontend, once, from the wheel of their maker. Only headers are unpacked.
# Without them all but CUDA is built.
fetch_cudnn_frontend() {
  local home=.dependencies/cudnn-frontend version=1.32.0
  command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || return 0
  [ "$(cat "$home/version" 2>/dev/null)" = "$version" ] && return 0
  python3 -m pip --version >/dev/null 2>&1 || install_packages python3-pip || return 0
  echo "cudnn-frontend: fetching the headers of $version"
  rm -rf "$home"
  mkdir -p "$home"
  # One wheel for everybody, whatever the host's Python: the headers are the same, the checksum is known.
  echo "nvidia-cudnn-frontend==$version --hash=sha256:c6006556017a4d1c914c52a556c71b1267f2d6a0500f742e7b4edef539878df0" >"$home/wanted"
  if python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes --python-version 3.11 \
    --implementation cp --platform manylinux_2_28_x86_64 -d "$home" -r "$home/wanted" >"$home/log" 2>&1 &&
    python3 -c 'import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.startswith("include/")])' "$home"/*.whl "$home"; then
    rm -f "$home"/*.whl "$home/log" "$home/wanted"
    echo "$version" >"$home/version"
  else
    echo "cudnn-frontend: not fetched ($(grep -m1 -i error "$home/log" || echo "no wheel")); building without CUDA" >&2
    rm -rf "$home"
  fi
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
