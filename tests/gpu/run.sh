#!/usr/bin/env bash
# Runs the project's GPU tests and benchmarks, beside PyTorch, and writes one record: tests/gpu/README.md.
#   tests/gpu/run.sh BUNDLE.tar.xz OUT_FOLDER [--minutes M] [--stages NAME,...] [--data FASHION.h5]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null; then
  echo "tests/gpu/run.sh: no $python here: set PYTHON to a Python 3.9 or newer" >&2
  exit 69
fi
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
exec "$python" "$here/record.py" "$@"
