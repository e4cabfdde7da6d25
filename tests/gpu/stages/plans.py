"""cuDNN's plans: those that the bundle carries, accepted or refused by this GPU, and what timing them here chooses."""
import beside_torch
from stage import Skip

ORDER = 38
MINUTES = 5.0


def run(job):
    if job.places.device == "cpu":
        raise Skip("no GPU here")
    model = beside_torch.run_file(job, "resnet50")
    job.part("the plan as carried", lambda: note(job, "plan", ["plan", model, "data.global_batch=256", "run.precision=bf16", "run.device=cuda"]))
    # Kept for the stages that time steps: PyTorch times its kernels too.
    for batch in (256, 16):
        job.part(f"timed choices, batch {batch}", lambda: note(job, f"tune {batch}", ["plan", "--tune", model, f"data.global_batch={batch}", "run.precision=bf16"],
                                                               seconds=150))


def note(job, name, arguments, seconds=120):
    """Keeps what the program says of its engines."""
    output = job.lockstep(*arguments, seconds=seconds)
    words = ("carried", "refused", "cudnn", "engine", "one call of each layer")
    job.notes[name] = [line for line in output.splitlines() if any(word in line.lower() for word in words)][:150]
