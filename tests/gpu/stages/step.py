"""ResNet-50's training step at batch 256 in bf16, beside PyTorch's best."""
from beside_torch import beside_torch

ORDER = 40
MINUTES = 9.0


def run(job):
    if job.options.tiny:
        beside_torch(job, "fashion_mnist", 16, ["eager"], precision="f32", clip=5.0)
    else:
        beside_torch(job, "resnet50", 256, ["eager", "compiled", "eager, one graph", "compiled, one graph", "compiled, bf16 weights"],
                     targets={"samples/s": 7500, "best": 1.10})
