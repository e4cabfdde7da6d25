#!/usr/bin/env python3
"""Runs the stages and writes OUT_FOLDER/record.json and log.txt; see README.md.

A record of the same machine and bundle that lies in OUT_FOLDER is carried on: stages that run now take the place of theirs.
Exit codes: 0 nothing failed, 1 a stage or a check failed, 64 usage.
"""
import argparse
import datetime
import importlib.util
import json
import os
import pathlib
import shutil
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import machine  # noqa: E402
from places import Places, unpack  # noqa: E402
from stage import Job, Skip  # noqa: E402

SCHEMA = 1


def load_stages(folders):
    """Stage modules by name, in the order in which they run."""
    stages = {}
    for path in (path for folder in folders for path in sorted(pathlib.Path(folder).glob("*.py"))):
        spec = importlib.util.spec_from_file_location(f"stages.{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        stages[path.stem] = module
    return dict(sorted(stages.items(), key=lambda item: item[1].ORDER))


def run_stage(name, module, places, options, folder, log, seconds):
    """The record of one stage, whatever happens in it."""
    log.write(f"\n== {name}: {module.__doc__.splitlines()[0]} (at most {seconds:.0f} s)\n")
    job = Job(places, options, folder, log, seconds)
    entry = {"what": module.__doc__.splitlines()[0], "state": "done", "rehearsal": options.tiny, "device": places.device,
             "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "gpu_before": machine.gpu_state()}
    start = time.monotonic()
    try:
        if seconds < min(5.0, 60 * module.MINUTES):
            raise Skip(f"no time left of --minutes {options.minutes:g}")
        job.notes.update(module.run(job) or {})
    except Skip as skip:
        entry.update(state="skipped", reason=str(skip))
    except Exception as error:  # noqa: BLE001: a stage's failure is its own
        entry.update(state="failed", reason=f"{type(error).__name__}: {error}")
        job.tail = getattr(error, "tail", []) or job.tail
    bad = [check["name"] for check in job.checks if not check["ok"]]
    if bad and entry["state"] != "failed":
        entry.update(state="failed", reason=f"failed: {', '.join(bad)}")
    entry.update(device=places.device, seconds=round(time.monotonic() - start, 3), limit_s=round(seconds, 3), gpu_after=machine.gpu_state(), checks=job.checks,
                 figures=job.figures, left_out=job.left_out, notes=job.notes)
    if entry["state"] == "failed":
        entry["tail"] = job.tail
    log.write(f"== {name}: {entry['state']} after {entry['seconds']:.1f} s{': ' + entry['reason'] if 'reason' in entry else ''}\n")
    log.flush()
    return entry


def begin(out, places, options):
    """An empty record, or the one of this machine and bundle that is there."""
    manifest = places.prefix / "MANIFEST.txt"
    facts = manifest.read_text().split("\nsha256:")[0].splitlines() if manifest.is_file() else None
    fresh = {"schema": SCHEMA, "program": {"prefix": str(places.prefix), "version": places.version.splitlines()[0], "manifest": facts},
             "machine": machine.machine_facts(), "rehearsal": options.tiny, "stages": {}}
    path = out / "record.json"
    if not path.exists():
        return fresh
    old = json.loads(path.read_text())
    for key in ("schema", "program", "machine", "rehearsal"):
        if old.get(key) != fresh[key]:
            print(f"{path}: cannot be carried on: its {key} is another: expected {fresh[key]}, got {old.get(key)}", file=sys.stderr)
            raise SystemExit(64)
    return old


def describe(record):
    """Lines for people: a line a stage, with its figures and what it left out."""
    for name, entry in record["stages"].items():
        yield f"{entry['state']:8} {name:14} {entry['seconds']:7.1f} s  {entry.get('reason', '')}".rstrip()
        for figure, value in entry["figures"].items():
            yield f"           {figure}: {value['median']:.6g} {value['unit']} ({value['min']:.6g} to {value['max']:.6g})"
        for left in entry["left_out"]:
            yield f"           left out: {left['what']}: {left['why']}"


class Parser(argparse.ArgumentParser):
    def error(self, message):
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(64)


def parse(arguments):
    parser = Parser(prog="tests/gpu/run.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="a bundle made with its tests, or the folder of one, or of a build")
    parser.add_argument("out", help="folder for record.json and log.txt")
    parser.add_argument("--minutes", type=float, default=30.0, help="time for all stages (30)")
    parser.add_argument("--stages", default="", help="names, separated by commas; all by default")
    parser.add_argument("--data", default="", help="Fashion-MNIST as HDF5, also packed by xz, for the stage that trains to an accuracy")
    parser.add_argument("--python", default=sys.executable, help="a Python that has PyTorch, where it is not the one that runs this")
    parser.add_argument("--work", default="", help="folder for what is unpacked and computed (OUT_FOLDER's neighbour OUT_FOLDER.work)")
    parser.add_argument("--more-stages", action="append", default=[], help="a further folder of stages")
    parser.add_argument("--tiny", action=argparse.BooleanOptionalAction, help="a rehearsal: tiny models and short blocks; so by default where no GPU is")
    options = parser.parse_args(arguments)
    options.data = options.data and str(pathlib.Path(options.data).resolve())
    return parser, options


def main(arguments):
    parser, options = parse(arguments)
    stages = load_stages([HERE / "stages", *options.more_stages])
    chosen = [name for name in options.stages.split(",") if name] or list(stages)
    for name in chosen:
        if name not in stages:
            parser.error(f"--stages: no stage \"{name}\"; known: {', '.join(stages)}")
    out = pathlib.Path(options.out).resolve()
    work = pathlib.Path(options.work or f"{out}.work").resolve()
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        # What a run learns of engines stays with this record, unless the user keeps it elsewhere.
        kept = {} if "LOCKSTEP_CUDA_PLANS" in os.environ else {"LOCKSTEP_CUDA_PLANS": str(work / "plans")}
        places = Places(unpack(options.bundle, work), options.python, kept)
    except OSError as error:
        parser.error(f"{error}")
    places.find_device()
    options.tiny = places.device == "cpu" if options.tiny is None else options.tiny
    record = begin(out, places, options)
    end = time.monotonic() + 60 * options.minutes
    with open(out / "log.txt", "a", encoding="utf-8") as log:
        for name in (name for name in stages if name in chosen):
            module, left = stages[name], end - time.monotonic()
            folder = work / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            record["stages"][name] = run_stage(name, module, places, options, folder, log, max(0.0, min(60 * module.MINUTES, left)))
            temporary = out / "record.json.new"
            temporary.write_text(json.dumps(record, indent=1) + "\n")
            temporary.replace(out / "record.json")
            print(f"{name}: {record['stages'][name]['state']}", flush=True)
    print("\n".join(["", *describe(record), "", f"record: {out / 'record.json'}"]))
    return 1 if any(record["stages"][name]["state"] == "failed" for name in chosen) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
