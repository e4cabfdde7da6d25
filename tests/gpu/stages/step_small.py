"""ResNet-50's training step at batch 16 in bf16: what launches cost; beside PyTorch eager, compiled and in one graph."""
from beside_torch import beside_torch
from stage import Skip

ORDER = 41
MINUTES = 6.0


def run(job):
    if job.options.tiny:
        raise Skip("a rehearsal: the stage \"step\" has tried the same code")
    beside_torch(job, "resnet50", 16, ["eager", "compiled", "eager, one graph", "compiled, one graph"], targets={"eager": 2.0})
