#!/usr/bin/env python3
"""The rules of the house, checked: folder order, file length, third-party headers, printing, messages, headers alone.

Run from anywhere: tests/rules/check_rules.py [--headers --include FOLDER ... --without FOLDER ...]. Prints each breach as `file:line: what` and exits with 1.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ("core", "distributed", "io", "launch", "tests", "examples")
MOST_LINES = 400

# Folder -> what its files may include of the project. The longest matching folder counts.
LADDER = {
    "core/base": ["core/base"],
    "core/tensor": ["core/base", "core/tensor"],
    "core/device": ["core/base", "core/tensor", "core/device"],
    "core/model": ["core/base", "core/tensor", "core/device", "core/model", "core/backend"],
    "core/backend": ["core/base", "core/tensor", "core/device", "core/model", "core/backend"],
    "core/backend/cpu": ["core/base", "core/tensor", "core/model", "core/backend", "core/backend/cpu"],
    "core/backend/cuda": ["core/base", "core/tensor", "core/device", "core/model", "core/backend", "core/backend/cuda", "core/train"],
    "core/layers": ["core/base", "core/tensor", "core/model", "core/backend"],
    "core/losses": ["core/base", "core/tensor", "core/model", "core/backend"],
    "core/metrics": ["core/base", "core/tensor", "core/model", "core/backend"],
    "core/initializers": ["core/base", "core/tensor", "core/model"],
    "core/optim": ["core/base", "core/tensor", "core/model", "core/backend", "core/train"],
    "core/schedules": ["core/base", "core/model", "core/train"],
    "core/train": ["core/base", "core/tensor", "core/device", "core/model", "core/backend", "core/train"],
    "distributed": ["core/base", "core/tensor", "core/device", "core/model", "core/backend", "core/train", "distributed"],
    "io": ["core/base", "core/tensor", "core/device", "core/model", "core/backend", "core/train", "io"],
    "launch": ["core/base", "core/tensor", "core/device", "core/model", "core/backend", "core/train", "distributed", "io", "launch"],
}
# Leaf folders: plug-ins that nobody but tests includes from outside.
LEAVES = ["core/backend/cpu", "core/backend/cuda", "core/layers", "core/losses", "core/metrics", "core/initializers", "core/optim", "core/schedules"]
# Third-party header -> folders whose .cpp files may include it (or, marked .h, whose private headers may).
THIRD_PARTY = {
    r"mpi\.h": ["distributed/mpi"],
    r"hdf5\.h|H5\w+\.h": ["io", "tests"],
    r"(oneapi/dnnl/)?dnnl\w*\.h(pp)?": ["core/backend/cpu", "tests/core/backend/cpu"],
    r"toml\+\+/.*|toml\.hpp": ["launch"],
    r"spdlog/.*": ["launch"],
    r"nlohmann/.*": ["core/backend/cuda", "io", "launch", "tests"],
    r"boost/.*": ["launch", "tests"],
    r"cuda.*|cublas.*|nccl\.h|cudnn.*": ["core/backend/cuda", "distributed/nccl", "tests"],
    r"gtest/.*": ["tests"],
    r"xxhash\.h": ["core/base"],
    r"zlib\.h": ["io", "tests"],
    r"omp\.h": ["core/backend/cpu", "tests/core/backend/cpu"],
}
PRIVATE_HEADER_FOLDERS = ("core/backend/cpu", "core/backend/cuda", "distributed/nccl", "io", "tests")
PRINTS = re.compile(r"std::cout|std::cerr|\bprintf\s*\(|\bfprintf\s*\(|\bputs\s*\(|(?<!void )(?<![\w.>:])(std::)?(exit|_exit|abort|quick_exit)\s*\(")
DEVICE_IF = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif).*(CUDA|NVCC|HIP|GPU|AVX|AMX)", re.I)


def files():
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".h", ".c", ".cpp", ".cu", ".cuh"):
                yield path, path.relative_to(ROOT).as_posix()


def folder_rule(name):
    best = ""
    for folder in LADDER:
        if name.startswith(folder + "/") and len(folder) > len(best):
            best = folder
    return best


def includes(text):
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1), match.group(2)


def check_includes(name, text):
    rule = folder_rule(name)
    for number, bracket, header in includes(text):
        top = header.split("/")[0]
        if bracket == '"' and top in SOURCES and rule:
            target = folder_rule(header)
            if target not in LADDER[rule] and not header.startswith(rule + "/"):
                yield number, f'"{header}" is not below {rule} on the ladder'
            elif target in LEAVES and target != rule:
                yield number, f'"{header}": {target} is a leaf folder'
        for pattern, folders in THIRD_PARTY.items():
            if not re.fullmatch(pattern, header):
                continue
            if not any(name.startswith(folder + "/") for folder in folders):
                yield number, f"<{header}> belongs into {', '.join(folders)}"
            elif name.endswith(".h") and not name.startswith(PRIVATE_HEADER_FOLDERS):
                yield number, f"<{header}> in a header"


def check_lines(name, text):
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        yield len(lines), f"{len(lines)} lines: {MOST_LINES} is the end"
    for number, line in enumerate(lines, 1):
        code = re.sub(r'"(\\.|[^"\\])*"', '""', line.split("//")[0])
        if DEVICE_IF.match(line):
            yield number, "an #if on a device: CMake picks files instead"
        if not name.startswith(("launch/", "tests/", "examples/")) and PRINTS.search(code):
            yield number, "a library never prints or exits"
        if not name.startswith(("tests/",)) and re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
            yield number, "left open"


def check_messages(name, text):
    """Messages of errors: one line, lower case, no full stop at the end."""
    if name.startswith("tests/"):
        return
    for match in re.finditer(r'\bfail\(\s*ErrorKind::\w+,\s*"((?:\\.|[^"\\])*)"', text):
        number = text.count("\n", 0, match.start()) + 1
        message = match.group(1)
        if re.match(r"[A-Z][a-z]", message) and not message.startswith(("MPI", "HDF5")):
            yield number, f'message starts with a capital: "{message}"'
        if message.endswith(".") or "\\n" in message:
            yield number, f'message is more than one plain line: "{message}"'


def check_every_file():
    """Of all that git knows: no marks of a merge; scripts are whole."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True)
    names = [name for name in listed.stdout.split("\0") if name]
    for name in names:
        path = ROOT / name
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if line.startswith((b"<" * 7 + b" ", b">" * 7 + b" ")):
                yield f"{name}:{number}: a merge left its mark"
        if name.endswith(".sh"):
            said = subprocess.run(["bash", "-n", path], capture_output=True, text=True)
            if said.returncode != 0:
                yield f"{name}: {said.stderr.strip().splitlines()[0]}"


def check_text():
    yield from check_every_file()
    for path, name in files():
        text = path.read_text()
        for check in (check_includes, check_lines, check_messages):
            for number, what in check(name, text):
                yield f"{name}:{number}: {what}"


def compile_header(name, flags):
    source = f'#include "{name}"\n'
    result = subprocess.run(["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-x", "c++", "-", *flags], input=source, text=True,
                            capture_output=True, cwd=ROOT, check=False)
    return f"{name}:1: does not compile alone: {result.stderr.splitlines()[0]}" if result.returncode else None


def check_headers(folders, without):
    # What every test is compiled with.
    flags = ["-I.", "-Icore/backend/cpu", '-DLOCKSTEP_SOURCE_DIR="."', *(f"-I{folder}" for folder in folders)]
    names = [name for _, name in files() if name.endswith(".h") and not name.startswith(tuple(without))]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(lambda name: compile_header(name, flags), names))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headers", action="store_true", help="compile every header alone instead of reading the text")
    parser.add_argument("--include", action="append", default=[], help="a folder of third-party or generated headers")
    parser.add_argument("--without", action="append", default=[], help="a folder whose headers need something that is not here")
    options = parser.parse_args()
    breaches = list(check_headers(options.include, options.without) if options.headers else check_text())
    for breach in breaches:
        print(breach)
    print(f"{len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
