#!/usr/bin/env bash
# launch/carry_plans.sh PROGRAM FOLDER GPU [MODEL ...]: makes the plans of the shipped recipes, or of MODELs, for a GPU that is not here:
# FOLDER/GPU.json, for share/lockstep/plans of an installation. PROGRAM is a lockstep with the CUDA plug-in. Minutes; a file that is there
# is added to.
set -euo pipefail

if [ $# -lt 3 ]; then
  echo "usage: launch/carry_plans.sh PROGRAM FOLDER GPU [MODEL ...]" >&2
  exit 64
fi
program=$1 folder=$2 gpu=$3
shift 3
[ $# -gt 0 ] || set -- resnet18 resnet34 resnet50
mkdir -p "$folder"
for model in "$@"; do
  echo "plans: $gpu $model"
  "$program" plan --device "$gpu" --build --out "$folder/$gpu.json" "$model"
done
