"""cuDNN's plans: those that the bundle carries, accepted or refused by this GPU, and what timing them here chooses."""

import beside_torch
from stage import Skip

ORDER = 55
MINUTES = 5.0


def run(job):
    if job.places.device == "cpu":
        raise Skip("no GPU here")
    model = beside_torch.run_file(job, "resnet50")
    sizes = ["data.global_batch=256", "run.precision=bf16"]
    job.part("the plan as carried", lambda: note(job, "plan", ["plan", model, *sizes, "run.device=cuda"]))
    job.part("timed choices", lambda: note(job, "tune", ["plan", "--tune", model, *sizes], seconds=200))


def note(job, name, arguments, seconds=120):
    output = job.lockstep(*arguments, seconds=seconds)
    (job.folder / f"{name}.txt").write_text(output)
    words = ("carried", "refused", "accepted", "chosen", "engine", "plans")
    job.notes[name] = [line for line in output.splitlines() if any(word in line.lower() for word in words)][:150]
