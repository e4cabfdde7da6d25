"""Where the time goes: `lockstep train --profile`, and ncu on a few kernels of ResNet-50's step."""
import beside_torch
import data
from stage import Skip

ORDER = 80
MINUTES = 5.0
KERNELS = ("batch_norm", "update", "fold", "max_pool", "conv|gemm|cutlass|xmma")


def run(job):
    tiny = job.options.tiny
    data.make_data(job, 24 if tiny else 2304)
    small = ["data.global_batch=16", "run.lanes=4", "train.steps=2"] if tiny else ["train.steps=60"]
    output = job.lockstep(*data.recipe(job, "profiled", "--profile", *small), seconds=100)
    lines = output.splitlines()
    first = next((i for i, line in enumerate(lines) if "ms a step" in line), None)
    job.check("--profile prints its table", first is not None)
    job.notes["profile of the Fashion-MNIST recipe"] = lines[first:first + 40] if first is not None else []
    job.part("ncu", lambda: ncu(job))


def ncu(job):
    """Three launches of each kind, late enough that choices are made; the clocks stay as they are."""
    tool = job.places.tool("ncu")
    if job.places.device == "cpu":
        raise Skip("no GPU here")
    if not tool:
        raise Skip("no ncu on this machine")
    step = [*beside_torch.our_step(job, "resnet50", 64, "bf16"), "--seconds", "1", "--warm-up", "0"]
    for kernels in KERNELS:
        command = [tool, "--clock-control", "none", "--target-processes", "all", "--graph-profiling", "node", "-k", f"regex:{kernels}", "-s", "20", "-c", "3",
                   "--section", "SpeedOfLight", "--section", "LaunchStats", "--section", "Occupancy", *step]
        said = job.part(f"ncu on {kernels}", lambda: job.run(command, seconds=90))
        if said:
            kept = [line.rstrip() for line in said.splitlines() if any(word in line for word in ("Throughput", "Duration", "Registers", "Occupancy", "  void", "Grid", "::"))]
            job.notes[f"ncu, {kernels}"] = kept[:60]
