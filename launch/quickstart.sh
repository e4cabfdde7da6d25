#!/usr/bin/env bash
# Sets up Lockstep on Debian 12 and trains on Fashion-MNIST with two ranks: ./launch/quickstart.sh [key=value ...]
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/set_up.sh

install_packages "${lockstep_packages[@]}"
fetch_cudnn_frontend
plug_ins=lockstep_mpi
if [ -e /dev/nvidiactl ]; then plug_ins=lockstep_plug_ins; fi # with the CUDA one, where there is a driver
configure_and_build build lockstep_program "$plug_ins" -- -DLOCKSTEP_TESTS=OFF
mpi_environment

data=examples/fashion_mnist/fashion.h5
[ -f "$data" ] || build/bin/lockstep convert fashion-mnist "$data"

run=runs/fashion_mnist
number=2
while [ -e "$run" ]; do
  run=runs/fashion_mnist_$number
  number=$((number + 1))
done
echo "train: mpirun -np 2 build/bin/lockstep train examples/fashion_mnist/run.toml run.directory=$run $*"
mpirun -np 2 --oversubscribe --bind-to none build/bin/lockstep train examples/fashion_mnist/run.toml "run.directory=$PWD/$run" "$@"

cat <<END

Next:
  build/bin/lockstep evaluate $run/checkpoints/latest --data $data:/test
  build/bin/lockstep plan examples/fashion_mnist/run.toml
  build/bin/lockstep export $run/checkpoints/latest fashion.safetensors
END
