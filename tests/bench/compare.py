#!/usr/bin/env python3
"""Images per second of the recipe's network: Lockstep beside PyTorch DDP, in one run, turn by turn.

  tests/bench/compare.py --lockstep build/bin/lockstep --data examples/fashion_mnist/fashion.h5 --python /path/to/venv/bin/python

Two ranks of one thread each. Lockstep trains the shipped recipe for a number of steps in `exact` and in `fast` mode, f32 and,
with --bf16, bf16; the peer runs eager and compiled, f32 and bf16. Each figure is the median over rounds of the median step.
The last line is the ratio of Lockstep's `exact` in its own choice of precision to the peer's best. PyTorch (2.15, with numpy)
is needed by the peer alone; LD_LIBRARY_PATH may have to name the CUDA libraries that its wheel was linked with.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
RECIPE = HERE.parents[1] / "examples/fashion_mnist/run.toml"


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*:\s*(.*)", text)
    flags = set(re.search(r"flags\s*:\s*(.*)", text).group(1).split())
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{name.group(1) if name else platform.machine()} ({', '.join(known)})"


def mpirun(ranks):
    return ["mpirun", "-np", str(ranks), "--oversubscribe", "--bind-to", "none" if ranks > (os.cpu_count() or 1) else "core"]


def lockstep(options, overrides):
    """Median images per second of the steps after the first ten."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*mpirun(options.ranks), options.lockstep, "train", str(RECIPE), f"run.directory={folder}/run", f"data.train={options.data}:/train",
                   "data.validation=[]", "checkpoint.every_epochs=0", "checkpoint.best=none", f"train.steps={options.steps + 10}", *overrides, "--progress=off"]
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        seconds = []
        for line in pathlib.Path(folder, "run/metrics.jsonl").read_text().splitlines():
            record = json.loads(line)
            if record["event"] == "step" and record["step"] > 10:
                seconds.append(record["wall"]["seconds"] / record["samples"])
        return 1 / statistics.median(seconds)


def peer(options, precision, compiled):
    command = [options.python, str(HERE / "pytorch_ddp.py"), "--ranks", str(options.ranks), "--steps", str(options.steps), "--precision", precision]
    result = subprocess.run(command + (["--compile"] if compiled else []), check=True, capture_output=True, text=True)
    return json.loads(result.stdout.strip().splitlines()[-1])["images_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lockstep", default="build/bin/lockstep")
    parser.add_argument("--data", default="examples/fashion_mnist/fashion.h5")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has PyTorch")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true", help="also Lockstep in bf16")
    parser.add_argument("--no-compile", action="store_true", help="leave out the compiled peer")
    options = parser.parse_args()
    options.data = str(pathlib.Path(options.data).resolve())
    runs = {
        "lockstep exact auto": lambda: lockstep(options, []),
        "lockstep exact f32": lambda: lockstep(options, ["run.precision=f32"]),
        "lockstep fast f32": lambda: lockstep(options, ["run.precision=f32", "run.mode=fast"]),
        "pytorch f32 eager": lambda: peer(options, "f32", False),
        "pytorch bf16 eager": lambda: peer(options, "bf16", False),
    }
    if options.bf16:
        runs["lockstep exact bf16"] = lambda: lockstep(options, ["run.precision=bf16"])
    if not options.no_compile:
        runs["pytorch f32 compiled"] = lambda: peer(options, "f32", True)
        runs["pytorch bf16 compiled"] = lambda: peer(options, "bf16", True)
    figures = {name: [] for name in runs}
    for round_number in range(options.rounds):
        for name, run in runs.items():
            figures[name].append(run())
            print(f"round {round_number + 1}  {name:24s} {figures[name][-1]:8.0f} images/s", flush=True)
    medians = {name: statistics.median(values) for name, values in figures.items()}
    print(f"\nprocessor: {processor()}; {options.ranks} ranks of 1 thread, batch 256; median of {options.rounds} rounds (least to most)")
    for name, values in figures.items():
        print(f"{name:24s} {medians[name]:8.0f} images/s  ({min(values):.0f} to {max(values):.0f})")
    best = max((name for name in medians if name.startswith("pytorch")), key=medians.get)
    print(f"ratio to the peer's best ({best}): {medians['lockstep exact auto'] / medians[best]:.2f}")
    print(f"price of exact (fast / exact, f32): {medians['lockstep fast f32'] / medians['lockstep exact f32']:.3f}")


if __name__ == "__main__":
    main()
