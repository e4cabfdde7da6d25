#!/usr/bin/env python3
"""What our kernels compile to: vector loads where they are meant, and no atomics on floats, whose order would be left to chance.
(That none spills registers is checked by the build itself.)

check_kernels.py --nvcc NVCC [--option OPTION ...] FILE.cu ...  Prints each breach and exits with 1.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

_ELEMENT = r"I(?:f|NS_8BFloat16E|NS_7Float16E)"
# File -> patterns of the (mangled) names of the kernels that move 16 bytes at a time. Each pattern must be met, and each kernel that meets it
# must load or store vectors.
VECTORS = {
    "copy": [r"map_vectorsI"],
    "relu": [r"map_vectorsI"],
    "sigmoid": [r"map_vectorsI"],
    "tanh": [r"map_vectorsI"],
    "dropout": [rf"mask_rows{_ELEMENT}Lb1E"],
    "batch_norm": [rf"{name}{_ELEMENT}Li[48]E" for name in ("moment_parts", "apply")],
    "batch_norm_backward": [rf"{name}{_ELEMENT}Li[48]E" for name in ("sum_parts", "backward")],
    **{name: [rf"{name}_{way}{_ELEMENT}Li8E" for way in ("forward", "backward")] for name in ("max_pool", "average_pool", "global_average_pool")},
    "input_prepare": [rf"prepare_input{_ELEMENT}Li8E", rf"scale_input{_ELEMENT}E"],
    "step": [r"block_squaresE"],
    "folds": [r"fold_add_f32E"],
    "sgd": [r"update_blocksI"],
    "adamw": [r"update_blocksI"],
}
FLOAT_ATOMIC = re.compile(r"\b(?:atom|red)\.[a-z0-9_.:]*\.(?:f16|f16x2|bf16|bf16x2|f32|f64)\b")
VECTOR = re.compile(r"\b(?:ld|st)\.global[a-z0-9_.:]*\.v4\b")
ENTRY = re.compile(r"\.entry\s+(\w+)")


def kernels(ptx):
    """Name -> text, of each kernel."""
    starts = [(match.start(), match.group(1)) for match in ENTRY.finditer(ptx)]
    ends = [start for start, _ in starts[1:]] + [len(ptx)]
    return {name: ptx[start:end] for (start, name), end in zip(starts, ends)}


def compile_ptx(nvcc, options, file):
    with tempfile.TemporaryDirectory() as folder:
        ptx = pathlib.Path(folder) / "out.ptx"
        result = subprocess.run([nvcc, *options, "-arch=sm_90", "-ptx", file, "-o", ptx], capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(f"{file}: does not compile: {result.stderr.strip().splitlines()[-1:]}")
        return ptx.read_text()


def check(nvcc, options, file):
    found = kernels(compile_ptx(nvcc, options, file))
    for name, text in found.items():
        for match in FLOAT_ATOMIC.finditer(text):
            yield f"{file}: {name}: {match.group(0)}: the order of additions would be left to chance"
    for pattern in VECTORS.get(pathlib.Path(file).stem, []):
        named = {name: text for name, text in found.items() if re.search(pattern, name)}
        if not named:
            yield f"{file}: no kernel is called \"{pattern}\"; there are: {', '.join(sorted(found))}"
        for name, text in named.items():
            if not VECTOR.search(text):
                yield f"{file}: {name}: no access of 16 bytes"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nvcc", default="nvcc")
    parser.add_argument("--option", action="append", default=[], help="for nvcc")
    parser.add_argument("--list", action="store_true", help="print each kernel and its accesses of 16 bytes instead")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    if options.list:
        for file in options.files:
            for name, text in kernels(compile_ptx(options.nvcc, options.option, file)).items():
                print(file, name, len(VECTOR.findall(text)))
        return 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        breaches = [b for each in pool.map(lambda file: list(check(options.nvcc, options.option, file)), options.files) for b in each]
    for breach in breaches:
        print(breach)
    print(f"{len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
