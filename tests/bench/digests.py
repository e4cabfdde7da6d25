#!/usr/bin/env python3
"""The state digest of the recipe (with dropout and shifts added) after a number of steps, on many counts of ranks and threads.

  tests/bench/digests.py --lockstep build/bin/lockstep --data examples/fashion_mnist/fashion.h5 --steps 200

Prints a line for each and ends with 1 unless all of one precision are equal.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

RECIPE = pathlib.Path(__file__).resolve().parents[2] / "examples/fashion_mnist/run.toml"


def digest(options, folder, ranks, threads, precision):
    run_file = pathlib.Path(folder, "run.toml")
    text = RECIPE.read_text().replace('"global_average_pool",', '"global_average_pool", { dropout = 0.1 },')
    text = text.replace('["flip_horizontal"]', '["flip_horizontal", { shift = 2 }]')
    assert "dropout" in text and "shift" in text
    run_file.write_text(text)
    directory = f"{folder}/{precision}-{ranks}-{threads}"
    command = ["mpirun", "-np", str(ranks), "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1", options.lockstep, "train", str(run_file),
               f"run.directory={directory}", f"data.train={options.data}:/train", "data.validation=[]", "checkpoint.best=none",
               f"run.threads={threads}", f"run.precision={precision}", f"train.steps={options.steps}", "--progress=plain"]
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    output = subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout
    return re.search(r"state digest: (\w+)", output).group(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lockstep", default="build/bin/lockstep")
    parser.add_argument("--data", default="examples/fashion_mnist/fashion.h5")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--precisions", nargs="+", default=["f32", "bf16"])
    options = parser.parse_args()
    options.data = str(pathlib.Path(options.data).resolve())
    equal = True
    with tempfile.TemporaryDirectory() as folder:
        for precision in options.precisions:
            found = set()
            for ranks, threads in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (4, 1), (4, 2), (8, 1), (8, 2)):
                found.add(digest(options, folder, ranks, threads, precision))
                print(f"{precision}  {ranks} ranks of {threads} threads, {options.steps} steps: {sorted(found)}", flush=True)
            equal = equal and len(found) == 1
    print("all equal" if equal else "DIFFERENT")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
