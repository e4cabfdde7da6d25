#!/usr/bin/env bash
# Packs a finished build into a tarball that runs on other machines: launch/bundle/pack.sh BUILD OUT.tar.xz [OPTIONS]
#
#   --with-cuda-libraries  NVIDIA's libraries too (gigabytes); else they are found on the target
#   --without-cuda         no CUDA plug-in
#   --with-tests           gpu_tests and the folder tests/gpu
#   --level N              of xz: 9 is the smallest, 0 the fastest (tests)
#
# Nothing is built here but two small C files. Needs patchelf, xz, a C compiler with libc.a, and Debian's packages: who
# owns a file, and under which licence, is asked of dpkg. How the parts find each other stands in docs/clusters.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
debian=/usr/lib/x86_64-linux-gnu
nvidia_names='libcuda|libcudart|libcublas|libcublasLt|libcudnn[^/]*|libnvrtc[^/]*|libnvJitLink|libnccl'
headers="libtomlplusplus-dev nlohmann-json3-dev libboost-dev" # compiled in

stop() {
  echo "bundle: $1" >&2
  exit "${2:-70}"
}

take_ours() {
  cmake --install "$build" --prefix "$work/installed" >/dev/null
  cp -a "$work/installed/share" "$root/"
  cp "$work/installed/bin/lockstep" "$root/libexec/"
  cp "$work/installed"/lib/liblockstep*.so "$root/lib/"
  [ $cuda = yes ] || rm -rf "$root/lib/liblockstep_cuda.so" "$root/share/lockstep/"{devices,plans}
  [ $cuda = yes ] && [ -d "$work/installed/lib/lockstep" ] && cp -a "$work/installed/lib/lockstep" "$root/lib/"
  if [ $tests = yes ]; then
    [ -x "$build/bin/gpu_tests" ] && cp "$build/bin/gpu_tests" "$root/libexec/"
    mkdir "$root/tests" && cp -a "$source/tests/gpu" "$root/tests/"
    find "$root/tests" -name __pycache__ -exec rm -rf {} +
  fi
  strip --strip-unneeded "$root"/libexec/* "$root"/lib/*.so
}

# Without MPI's files, OpenSHMEM, simulators, and whatever stands on a network's own library: a site with such a network has its own MPI.
take_open_mpi() {
  local component
  cp /usr/bin/orterun "$root/libexec/mpirun"
  cp /usr/bin/orted "$root/libexec/"
  for component in $debian/openmpi/lib/openmpi3/mca_*.so; do
    case ${component##*/} in
      mca_fbtl_* | mca_fcoll_* | mca_fs_* | mca_io_* | mca_sharedfp_* | mca_memheap_* | mca_scoll_* | mca_spml_* | mca_sshmem_* | mca_atomic_*) ;;
      *_monitoring.so | *_simulator.so | *_flux.so | mca_osc_pt2pt.so | mca_vprotocol_*) ;;
      # Not in a pipe: grep would end it before ldd has written all, and that would count as no.
      *) grep -qE 'libfabric|libibverbs|libpsm|libucp|libnl-3' <<<"$(ldd "$component")" || cp "$component" "$root/lib/openmpi/components/" ;;
    esac
  done
  cp $debian/pmix2/lib/pmix/*.so "$root/lib/openmpi/pmix/"
  cp /usr/share/openmpi/help-*.txt /etc/openmpi/openmpi-default-hostfile "$root/share/openmpi/"
  cp "$here/openmpi-mca-params.conf" "$root/share/openmpi/"
}

# needs FILE...: the libraries that files stand on, without the C library, ours, and NVIDIA's.
needs() {
  ldd "$@" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
    grep -vE "/(liblockstep[^/]*|$nvidia_names)\.so" | grep -vxFf "$work/glibc"
}

take_libraries() {
  local library ours=("$build"/lib/liblockstep.so)
  dpkg -L libc6 | grep '^/lib/x86_64-linux-gnu/.*\.so' >"$work/glibc"
  cp -L $(grep -vE 'memusage|pcprofile|thread_db|malloc_debug|BrokenLocale' "$work/glibc") "$root/libc/"
  [ -f "$root/lib/liblockstep_cuda.so" ] && ours+=("$build"/lib/liblockstep_cuda.so)
  [ -f "$root/libexec/gpu_tests" ] && ours+=("$build"/bin/gpu_tests)
  needs "${ours[@]}" >"$work/lib"
  needs "$root"/libexec/{mpirun,orted} "$root"/lib/openmpi/*/*.so "$build"/lib/liblockstep_mpi.so | grep -vxFf "$work/lib" >"$work/openmpi"
  while read -r library; do cp -L "$library" "$root/lib/"; done <"$work/lib"
  while read -r library; do cp -L "$library" "$root/lib/openmpi/"; done <"$work/openmpi"
}

build_starters() {
  local program options="-std=gnu17 -O2 -Wall -Wextra -Werror -s"
  cc $options -static -o "$root/bin/lockstep" "$here/starter.c"
  cc $options -shared -fPIC -o "$root/lib/openmpi/libopen_mpi_home.so" "$here/open_mpi_home.c"
  for program in "$root"/libexec/*; do
    [ "${program##*/}" = lockstep ] || ln "$root/bin/lockstep" "$root/bin/${program##*/}"
  done
}

# RPATH goes before LD_LIBRARY_PATH, so a host's older libstdc++ does no harm. The MPI plug-in alone has a RUNPATH, which goes after it,
# and the program's RPATH leaves Open MPI out: a site's libmpi is taken where one is loaded.
set_paths() {
  find "$root/lib" -name '*.so*' -exec chmod u+w {} +
  patchelf --force-rpath --set-rpath '$ORIGIN/../lib' "$root"/libexec/*
  patchelf --force-rpath --set-rpath '$ORIGIN/../lib:$ORIGIN/../lib/openmpi' "$root"/libexec/{mpirun,orted}
  patchelf --force-rpath --set-rpath '$ORIGIN' "$root"/lib/*.so*
  patchelf --force-rpath --set-rpath '$ORIGIN:$ORIGIN/..' "$root"/lib/openmpi/*.so*
  patchelf --force-rpath --set-rpath '$ORIGIN/..:$ORIGIN/../..' "$root"/lib/openmpi/{components,pmix}/*.so
  patchelf --add-needed libopen_mpi_home.so "$root/lib/openmpi/libopen-pal.so.40"
  patchelf --remove-rpath "$root/lib/liblockstep_mpi.so"
  patchelf --set-rpath '$ORIGIN/openmpi' "$root/lib/liblockstep_mpi.so"
}

# Nothing may be left to what this machine happens to have.
check_whole() {
  local missing
  find "$root/lib" "$root/libc" -name '*.so*' -printf '%f\n' | sort -u >"$work/carried"
  missing=$(readelf -d "$root"/libexec/* $(find "$root/lib" -name '*.so*' -not -type l) | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u |
    grep -vxFf "$work/carried" | grep -vE "^($nvidia_names)\.so" || true)
  [ -z "$missing" ] || stop "needed and not carried: $(echo $missing)"
}

# As they are: they find each other in one folder. In Python's packages each has its own.
take_nvidia() {
  local folder place file name others
  ldd "$build/lib/liblockstep_cuda.so" | awk '$3 ~ /^\// { print $3 }' | grep -E "/($nvidia_names)\.so" | xargs -n1 dirname | sort -u >"$work/nvidia"
  while read -r folder; do
    case $folder in */nvidia/*/lib) others=("$folder"/../../*/lib) ;; *) others=() ;; esac
    for place in "$folder" "${others[@]}"; do
      for file in "$place"/lib{cudnn,cudnn_*,nvrtc,nvrtc-builtins,nccl,cublas,cublasLt,nvJitLink}.so.*; do
        name=$(readelf -d "$file" 2>/dev/null | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
        [ -z "$name" ] || [ -e "$root/lib/$name" ] || cp -L "$file" "$root/lib/$name"
      done
    done
  done <"$work/nvidia"
  [ -e "$root/lib/libnccl.so.2" ] || stop "no libnccl.so.2 beside the other libraries of NVIDIA" 69
}

write_papers() {
  local library package packages
  cp "$here/README.md" "$root/"
  cp "$source/LICENSE" "$root/share/licences/lockstep.txt"
  # dpkg knows a file by the path that its package named, with /usr or without, and by its own name or a link's.
  while read -r library; do
    printf '%s\n' "${library#/usr}" "/usr${library#/usr}" "$(readlink -f "$library")"
  done < <(cat "$work/lib" "$work/openmpi") >"$work/paths"
  packages=$({ xargs dpkg -S <"$work/paths" 2>/dev/null || true; } | sed 's/:.*//' | cat - <(printf '%s\n' libc6 openmpi-bin) | sort -u)
  for package in $packages $headers; do cp -L "/usr/share/doc/$package/copyright" "$root/share/licences/$package.txt"; done
  {
    "$build/bin/lockstep" --version | grep -vE '^  (MPI plug-in|NVIDIA driver|processor)'
    echo && echo "From Debian $(cat /etc/debian_version):"
    dpkg-query -W -f '  ${Package} ${Version}\n' $packages $headers | sort -u
    echo && echo "sha256:"
    (cd "$root" && find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum)
  } >"$work/MANIFEST.txt"
  mv "$work/MANIFEST.txt" "$root/MANIFEST.txt"
}

# The same files give the same bytes.
compress() {
  local stamp
  stamp=$(git -C "$source" log -1 --format=%ct 2>/dev/null || echo 0)
  tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$stamp" -cf - "${root##*/}" |
    xz --x86 --lzma2=preset="$level",dict=64MiB -T1 >"$work/tarball"
  mv "$work/tarball" "$out"
  echo "bundle: $out, $(du -m --apparent-size "$out" | cut -f1) MiB, unpacked $(du -sm "$root" | cut -f1) MiB"
}

[ $# -ge 2 ] || stop "expected a build folder and the name of a tarball" 64
build=$1 out=$(realpath -m "$2")
shift 2
cuda=yes nvidia=no tests=no level=9
while [ $# -gt 0 ]; do
  case $1 in
    --with-cuda-libraries) nvidia=yes ;;
    --without-cuda) cuda=no ;;
    --with-tests) tests=yes ;;
    --level) level=$2 && shift ;;
    *) stop "unknown option \"$1\"; known: --with-cuda-libraries, --without-cuda, --with-tests, --level N" 64 ;;
  esac
  shift
done
[ -x "$build/bin/lockstep" ] || stop "\"$build\": expected the folder of a finished build, with bin/lockstep" 64
build=$(cd "$build" && pwd)
for tool in patchelf xz readelf dpkg cmake cc; do
  command -v $tool >/dev/null || stop "\"$tool\" is missing (launch/bundle.sh installs what is needed)" 69
done

mkdir -p "$(dirname "$out")"
work=$(mktemp -d "$(dirname "$out")/.bundle.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/lockstep-$("$build/bin/lockstep" --version | sed -n '1s/^lockstep \([^ ]*\).*/\1/p')-x86_64-linux
mkdir -p "$root"/{bin,libexec,libc,lib/openmpi/components,lib/openmpi/pmix,share/openmpi,share/licences}
take_ours
take_open_mpi
take_libraries
build_starters
set_paths
check_whole
if [ $nvidia = yes ] && [ $cuda = yes ]; then take_nvidia; fi
chmod -R u=rwX,go=rX "$root"
write_papers
compress
