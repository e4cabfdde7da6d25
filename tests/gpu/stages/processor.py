"""The Fashion-MNIST recipe's step on one core of the processor, beside PyTorch."""
from beside_torch import beside_torch
from stage import Skip

ORDER = 95
MINUTES = 5.0


def run(job):
    if job.options.tiny:
        raise Skip("a rehearsal: the stage \"step\" has tried the same code")
    beside_torch(job, "fashion_mnist", 256, ["eager", "compiled, default"], precision="f32", clip=5.0, device="cpu")
