"""Writes tests/core/train/resnet_golden_numbers.h and tests/golden/torchvision_resnet_names.txt: a few SGD steps of torchvision's ResNets
on small images, in f64 (and, to show by how much rounding alone moves them, in f32), and the names and shapes of their weights. Weights
and samples are a hash of their place, as in recipe_steps.py.

Usage, with torch and torchvision: python tests/golden/resnet_steps.py. How far f32 is from f64 goes to stderr.
"""
import contextlib
import pathlib

import torch
import torch.nn.functional as F
import torchvision

from recipe_steps import fingerprint, floats, groups, hashes, prepare, show

TESTS = pathlib.Path(__file__).resolve().parents[1]
BATCH, SAMPLES, SIZE, CLASSES, RATE, SHOWN = 8, 20, 64, 1000, 0.001, 8


def tensors(model):
    """Without PyTorch's counters: load_state_dict makes what is missing of them."""
    return {name: tensor for name, tensor in model.state_dict(keep_vars=True).items() if not name.endswith("num_batches_tracked")}


def training(depth, dtype, steps, shown):
    """The last norm of each block is a quarter of the hash: with all of it f32 and f64 part within two steps."""
    model = getattr(torchvision.models, f"resnet{depth}")().to(dtype)
    named, parameters = tensors(model), dict(model.named_parameters())
    prepare(named, dtype)
    with torch.no_grad():
        for name, tensor in named.items():
            if name.endswith("bn3.weight" if depth == 50 else "bn2.weight"):
                tensor /= 4
    x = floats("input", (SAMPLES, SIZE, SIZE, 3), dtype).permute(0, 3, 1, 2)
    y = torch.tensor((hashes("target", SAMPLES) % CLASSES).astype("int64"))
    optimizer = torch.optim.SGD(groups(parameters, 1e-4, lambda name: parameters[name].dim() == 1), lr=RATE, momentum=0.9, nesterov=True)
    losses, norms = [], []
    model.train()
    for step in range(steps):
        rows = slice(step * BATCH, min(step * BATCH + BATCH, SAMPLES))
        loss = F.cross_entropy(model(x[rows]), y[rows], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in model.parameters()])).item())
        losses.append(loss.item())
        optimizer.step()
    model.eval()
    with torch.no_grad():
        outputs = model(x[:4])[:, :SHOWN].reshape(-1).tolist()
    return losses, norms, fingerprint({name: tensor for name, tensor in named.items() if shown(name)}), outputs


def main():
    torch.set_num_threads(1)
    both = (torch.float64, torch.float32)
    with open(TESTS / "core/train/resnet_golden_numbers.h", "w") as file, contextlib.redirect_stdout(file):
        print(f"#pragma once\n\n// Written by tests/golden/resnet_steps.py with PyTorch {torch.__version__.split('+')[0]} and torchvision "
              f"{torchvision.__version__.split('+')[0]} in f64.\n")
        print('#include "tests/core/train/golden_training.h"\n\nnamespace lockstep {\n')
        show("kResnet18", *(training(18, dtype, 3, lambda name: True) for dtype in both))
        print()
        # Of the stages' first blocks alone: all would be 400 lines.
        first = ("conv1.", "bn1.", "fc.", "layer1.0.", "layer2.0.", "layer3.0.", "layer4.0.")
        show("kResnet50", *(training(50, dtype, 2, lambda name: name.startswith(first)) for dtype in both))
        print("\n}  // namespace lockstep")
    with open(TESTS / "golden/torchvision_resnet_names.txt", "w") as file:
        print(f"# Written by tests/golden/resnet_steps.py with torchvision {torchvision.__version__.split('+')[0]}.", file=file)
        for depth in (18, 34, 50):
            for name, tensor in tensors(getattr(torchvision.models, f"resnet{depth}")()).items():
                print(f"resnet{depth} {name} {list(tensor.shape)}", file=file)


if __name__ == "__main__":
    main()
