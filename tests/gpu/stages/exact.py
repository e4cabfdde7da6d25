"""The price of `exact`: ResNet-50's step in `exact` mode with 8, 16 and 32 lanes beside `fast` mode, at batch 256."""
from abba import Side, compare
from beside_torch import our_step

ORDER = 50
MINUTES = 5.0


def run(job):
    tiny = job.options.tiny
    model, batch, precision = ("fashion_mnist", 32, "f32") if tiny else ("resnet50", 256, "bf16")
    warm_up, seconds, rounds = (0.05, 0.03, 1) if tiny else (3, 1.5, 5)

    def side(name, *overrides):
        return Side(job, name, [*our_step(job, model, batch, precision, *overrides), "--warm-up", warm_up, "--serve"], batch)

    with side("fast", "run.mode=fast") as fast:
        fast.ready(120)
        for lanes in (8,) if tiny else (16, 8, 32):
            def measure():
                with side(f"exact, {lanes} lanes", "run.mode=exact", f"run.lanes={lanes}") as exact:
                    exact.ready(120)
                    return compare(fast, exact, rounds, seconds)

            result = job.part(f"exact with {lanes} lanes", measure)
            if result:
                job.figure(f"{model} batch {batch} {precision}, {lanes} lanes: exact's time / fast's", result["ratio"]["values"], "times",
                           fast=result["ours"], exact=result["peer"], protocol=result["protocol"])
