#!/usr/bin/env bash
# Sets up Lockstep on Debian 12, builds it and packs it into one tarball for machines without network, compiler or root:
#
#   ./launch/bundle.sh [--with-cuda-libraries] [--with-tests] [--without-cuda] [--plans GPU] [OUT.tar.xz]
#
# --plans h200 carries cuDNN's plans of the shipped recipes for that GPU (docs/gpu.md), so that a first run there does not compile them.
# OUT is bundles/lockstep-VERSION-x86_64-linux.tar.xz unless given. What the options mean: launch/bundle/pack.sh. How to use it: docs/clusters.md.
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")/.."
. launch/set_up.sh

known="--with-cuda-libraries, --with-tests, --without-cuda, --plans GPU"
options=() out= plans= targets=(lockstep_program lockstep_plug_ins) cmake_options=()
while [ $# -gt 0 ]; do
  argument=$1
  shift
  case $argument in
    --plans)
      [ $# -gt 0 ] || { echo "bundle: --plans: expected a GPU, such as h200" >&2 && exit 64; }
      plans=$1
      shift
      continue
      ;;
    --with-tests) targets+=(gpu_tests) ;;
    --without-cuda) cmake_options+=(-DLOCKSTEP_CUDA=OFF) ;;
    --with-cuda-libraries) ;;
    -*) echo "bundle: unknown option \"$argument\"; known: $known" >&2 && exit 64 ;;
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
[ -z "$plans" ] || launch/carry_plans.sh $folder/bin/lockstep $folder/share/lockstep/plans "$plans"
version=$($folder/bin/lockstep --version | sed -n '1s/^lockstep \([^ ]*\).*/\1/p')
launch/bundle/pack.sh $folder "${out:-bundles/lockstep-$version-x86_64-linux.tar.xz}" "${options[@]}"
