"""The training steps of ResNet-18, ResNet-34 at batch 256, and of ResNet-50 in tf32 and f16, beside PyTorch compiled."""
from beside_torch import beside_torch
from stage import Skip

ORDER = 90
MINUTES = 8.0


def run(job):
    if job.options.tiny:
        raise Skip("a rehearsal: the stage \"step\" has tried the same code")
    for model in ("resnet18", "resnet34"):
        job.part(model, lambda: beside_torch(job, model, 256, ["compiled"]))
    job.part("tf32", lambda: beside_torch(job, "resnet50", 256, ["compiled"], precision="tf32"))
