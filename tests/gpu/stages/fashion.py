"""Fashion-MNIST: seconds of training to a test accuracy of 94 %, from scratch."""
import json
import lzma
import pathlib
import shutil

from stage import Skip

ORDER = 60
MINUTES = 4.0
TARGET = 0.94
# The recipe with a larger batch, moved images and more epochs, for a device that is idle at 256.
GPU = ["data.global_batch=512", "train.epochs=24", "train.learning_rate.peak=0.4", "train.learning_rate.at_batch=256", 'data.augment=["flip_horizontal",{shift=2}]']


def run(job):
    if not job.options.data:
        raise Skip("no --data: Fashion-MNIST as HDF5 was not given")
    data = pathlib.Path(job.options.data)
    if data.suffix == ".xz":
        data = job.folder / "fashion.h5"
        with lzma.open(job.options.data) as packed, open(data, "wb") as plain:
            shutil.copyfileobj(packed, plain)
    variants = {"the recipe": [], "larger batches, moved images": GPU}
    if job.options.tiny:
        variants = {"the recipe": ["train.steps=4", "data.global_batch=32"]}
    for name, overrides in variants.items():
        job.part(name, lambda: train(job, data, name, overrides))


def train(job, data, name, overrides):
    directory = job.folder / name.replace(" ", "-").replace(",", "")
    for seed in (1,) if job.options.tiny else (1, 2, 3):
        run_directory = f"{directory}-{seed}"
        output = job.lockstep("train", job.places.recipe("fashion_mnist/run.toml"), f"run.directory={run_directory}", f"data.train={data}:/train",
                              f"data.validation={data}:/test", f"run.seed={seed}", f"run.device={job.places.device}", "checkpoint.best=none",
                              "checkpoint.every_steps=0", "checkpoint.every_epochs=0", "--progress=plain", *overrides, seconds=120)
        job.notes[f"{name}, seed {seed}"] = output.splitlines()[-3:]
        reached(job, name, seed, run_directory)


def reached(job, name, seed, directory):
    """Training seconds until the first evaluation at the target, those of evaluations left out, and the best accuracy."""
    seconds, best, at = 0.0, 0.0, None
    with open(f"{directory}/metrics.jsonl", encoding="utf-8") as lines:
        for event in map(json.loads, lines):
            if event["event"] == "step":
                seconds += event["wall"]["seconds"]
            accuracy = event.get("metrics", event).get("validation.accuracy")
            if accuracy is not None:
                best = max(best, accuracy)
                at = seconds if at is None and accuracy >= TARGET else at
    job.figure(f"{name}, seed {seed}: best test accuracy", best, "of 1")
    if at is not None:
        job.figure(f"{name}, seed {seed}: training time to {TARGET:.0%}", at, "s")
    elif not job.options.tiny:
        job.leave_out(f"{name}, seed {seed}: time to {TARGET:.0%}", f"not reached: the best was {best:.2%} after {seconds:.1f} s of training")
