"""Made-up images in the shape of Fashion-MNIST, for runs whose bits are compared, and the recipe's arguments for them."""
import json
import random
import re
import struct

from stage import Failed

SIDE, CLASSES = 28, 10
_DARK, _LIT = (bytes(value * 120 // 256 + add for value in range(256)) for add in (0, 110))


def _image(label, draw):
    """A class is a pattern of rows, which flips leave alone, under noise."""
    rows = (draw.randbytes(SIDE).translate(_LIT if (y * (label + 2)) % 11 < 5 else _DARK) for y in range(SIDE))
    return b"".join(rows)


def write_idx(folder, name, samples, seed):
    draw = random.Random(seed)
    labels = bytes(draw.randrange(CLASSES) for _ in range(samples))
    (folder / f"{name}-images").write_bytes(struct.pack(">IIII", 0x803, samples, SIDE, SIDE) + b"".join(_image(label, draw) for label in labels))
    (folder / f"{name}-labels").write_bytes(struct.pack(">II", 0x801, samples) + labels)


def make_data(job, samples):
    """train.h5 and test.h5 in the stage's folder."""
    for name, count, seed in (("train", samples, 1), ("test", samples // 4, 2)):
        write_idx(job.folder, name, count, seed)
        job.lockstep("convert", "idx", f"{name}-images", f"{name}-labels", f"{name}.h5")


def recipe(job, directory, *overrides):
    """Arguments that train the Fashion-MNIST recipe on that data."""
    return ["train", job.places.recipe("fashion_mnist/run.toml"), f"run.directory={job.folder / directory}", f"data.train={job.folder}/train.h5:/train",
            f"data.validation={job.folder}/test.h5:/train", "checkpoint.best=none", f"run.device={job.places.device}", "--progress=plain", *overrides]


def digest(output):
    """The state digest that a run has printed."""
    found = re.search(r"state digest: (\w+)", output)
    if not found:
        raise Failed("the run printed no state digest", output)
    return found[1]


def losses(job, directory):
    """The losses of a run's steps."""
    lines = map(json.loads, (job.folder / directory / "metrics.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if line["event"] == "step"]
