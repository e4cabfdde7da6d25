"""Weights travel between torchvision and Lockstep: torchvision's, with running statistics of some noise, are imported, predict is compared
with torchvision's outputs of the same images, and what Lockstep exports is loaded strictly. Run by hand, in a Python with torch,
torchvision, safetensors and h5py.

    python tests/golden/check_resnet.py build/bin/lockstep

Exits with 1 where an output differs by more than 1e-4 of the largest.
"""
import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy
import torch
import torchvision
from safetensors.torch import load_file, save_file

SIZE, IMAGES = 96, 6


def check(program, name, folder):
    torch.manual_seed(1)
    model = getattr(torchvision.models, name)()
    draw = numpy.random.default_rng(1)
    images = torch.from_numpy(draw.integers(0, 256, (IMAGES, SIZE, SIZE, 3), dtype=numpy.uint8))
    x = (images.permute(0, 3, 1, 2) / 255 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    with torch.no_grad():
        model(x)
        expected = model.eval()(x)
    save_file(model.state_dict(), folder / "theirs.safetensors")
    with h5py.File(folder / "images.h5", "w") as file:
        file["images"] = images.numpy()

    def lockstep(*arguments):
        subprocess.run([program, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    lockstep("import", "theirs.safetensors", name, f"{name}.h5", f"data.input.shape=[{SIZE}, {SIZE}, 3]", "data.global_batch=16", "run.precision=f32")
    lockstep("predict", f"{name}.h5", "--data", "images.h5", "--out", f"{name}-predictions.h5")
    lockstep("export", f"{name}.h5", "ours.safetensors")
    with h5py.File(folder / f"{name}-predictions.h5") as file:
        found = torch.from_numpy(file["predictions"][:])
    ours = load_file(folder / "ours.safetensors")
    getattr(torchvision.models, name)().load_state_dict(ours, strict=True)
    same = all(torch.equal(ours[key], value) for key, value in model.state_dict().items() if key in ours)
    difference = ((found - expected).abs().max() / expected.abs().max()).item()
    print(f"{name}: {len(ours)} tensors, loaded strictly, equal: {same}; outputs of {IMAGES} images differ by {difference:.1e} of the largest "
          f"(PyTorch {torch.__version__}, torchvision {torchvision.__version__})")
    return same and difference < 1e-4


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        good = [check(program, f"resnet{depth}", pathlib.Path(folder)) for depth in (18, 34, 50)]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
