"""Writes tests/core/train/recipe_golden_numbers.h: short trainings in PyTorch 2.15.0, on the CPU, in f64 (and, to show by how
much rounding alone moves them, in f32). Weights and samples are a hash of their place, which recipe_golden_test.cpp computes too.

Usage: python tests/golden/recipe_steps.py > tests/core/train/recipe_golden_numbers.h; then clang-format -i on it. How far f32 is
from f64 goes to stderr.
"""
import sys

import numpy
import torch
import torch.nn.functional as F
from torch import nn

from recipe_network import Network, lockstep_name, tensors

BATCH, SAMPLES = 40, 100
# A rate at which ten steps stay clear of ReLU's kinks: from 0.03 on one element's flip moves the norms by 5e-4, in PyTorch too.
RATE = 0.02


def hash32(x):
    """The finalizer of MurmurHash3, on numpy uint32."""
    x = numpy.asarray(x, dtype=numpy.uint32).copy()
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> numpy.uint32(shift)
        x *= numpy.uint32(factor)
    return x ^ (x >> numpy.uint32(16))


def name_key(name):
    """FNV-1a."""
    key = 2166136261
    for byte in name.encode():
        key = (key ^ byte) * 16777619 % 2**32
    return key


def hashes(name, count):
    return hash32(hash32(numpy.arange(count)) ^ numpy.uint32(name_key(name)))


def uniform(name, count):
    """In [-1, 1), exact in f32."""
    return (hashes(name, count) >> numpy.uint32(8)).astype(numpy.float64) / 2**23 - 1


def start_value(name, shape):
    u = uniform(name, int(numpy.prod(shape)))
    if len(shape) > 1:
        u *= numpy.sqrt(6 / numpy.prod(shape[1:]))
    elif name.endswith(("running_var", "weight")):
        u = 1 + 0.25 * u
    else:
        u *= 0.25
    return torch.tensor(u.astype(numpy.float32).reshape(shape))


def prepare(named, dtype):
    with torch.no_grad():
        for name, tensor in named.items():
            tensor.copy_(start_value(name, tuple(tensor.shape)).to(dtype))


def floats(name, shape, dtype):
    return torch.tensor(uniform(name, int(numpy.prod(shape))).astype(numpy.float32).reshape(shape)).to(dtype)


def labels(count, classes):
    return torch.tensor((hashes("target", count) % numpy.uint32(classes)).astype(numpy.int64))


def groups(named, decay, bare):
    """Parameter groups: those for which `bare(name)` is true are not decayed."""
    return [{"params": [p for n, p in named.items() if not bare(n)], "weight_decay": decay},
            {"params": [p for n, p in named.items() if bare(n)], "weight_decay": 0.0}]


def train(model, loss_of, optimizer, schedule, steps, clip):
    losses, norms, first = [], [], 0
    for _ in range(steps):
        last = min(first + BATCH, SAMPLES)
        loss = loss_of(slice(first, last))
        optimizer.zero_grad()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), clip).item())
        losses.append(loss.item())
        optimizer.step()
        schedule.step()
        first = last % SAMPLES
    return losses, norms


def fingerprint(named):
    """Of each tensor, by name: one element, and the mean of all weighted by a hash."""
    result = []
    for name in sorted(named):
        values = named[name].detach().reshape(-1).double()
        place = name_key(name) % len(values)
        weighted = values * torch.tensor(uniform("direction", len(values)))
        result.append((name, [values[place].item(), weighted.mean().item()]))
    return result


def recipe(dtype, steps, frozen):
    model = Network().to(dtype)
    named = tensors(model)
    prepare(named, dtype)
    parameters = {lockstep_name(name): parameter for name, parameter in model.named_parameters()}
    x, y = floats("input", (SAMPLES, 1, 28, 28), dtype), labels(SAMPLES, 10)
    model.train()
    if frozen:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    optimizer = torch.optim.SGD(groups(parameters, 5e-4, lambda name: "norm" in name or name.endswith("bias")), lr=RATE, momentum=0.9,
                                nesterov=True)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1) if frozen else torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=RATE, total_steps=10, pct_start=0.3, div_factor=25, max_momentum=0.95, base_momentum=0.85)

    def loss_of(rows):
        return F.cross_entropy(model(x[rows]), y[rows], label_smoothing=0.1)

    losses, norms = train(model, loss_of, optimizer, schedule, steps, 1.0)
    model.eval()
    with torch.no_grad():
        outputs = model(x[:4]).reshape(-1).tolist()
    return losses, norms, fingerprint(named), outputs


def perceptron(dtype):
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3)).to(dtype)
    named = {"hidden.weight": model[0].weight, "hidden.bias": model[0].bias, "head.weight": model[2].weight, "head.bias": model[2].bias}
    prepare(named, dtype)
    x, y = floats("input", (SAMPLES, 6), dtype), floats("target", (SAMPLES, 3), dtype)
    optimizer = torch.optim.AdamW(groups(named, 0.05, lambda name: name.endswith("bias")), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5, eta_min=0.002)
    losses, norms = train(model, lambda rows: F.mse_loss(model(x[rows]), y[rows]), optimizer, schedule, 5, float("inf"))
    with torch.no_grad():
        outputs = model(x[:4]).reshape(-1).tolist()
    return losses, norms, fingerprint(named), outputs


def rows(numbers):
    lines, line = [], ""
    for text in (f"{number:.9g}" for number in numbers):
        if len(line) + len(text) > 120:
            lines.append(line.rstrip())
            line = ""
        line += text + ", "
    return "\n".join("     " + text for text in lines + [line.rstrip().rstrip(",")]).lstrip()


def show(name, exact, rounded):
    losses, norms, prints, outputs = exact
    differences = [max(abs(a - b) for a, b in zip(exact[k], rounded[k])) for k in (0, 1, 3)]
    parameters = max(abs(a - b) for (_, e), (_, r) in zip(prints, rounded[2]) for a, b in zip(e, r))
    print(name, "f32 and f64 differ by: losses {:.1e}, norms {:.1e}, outputs {:.1e},".format(*differences), f"tensors {parameters:.1e}",
          file=sys.stderr)
    print(f"inline const test::Golden {name} = {{")
    for numbers in (losses, norms, outputs):
        print(f"    {{{rows(numbers)}}},")
    entries = [f'{{"{tensor}", {{{rows(values)}}}}}' for tensor, values in prints]
    print("    {" + ",\n     ".join(entries) + "}};")


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"#pragma once\n\n// Written by tests/golden/recipe_steps.py with PyTorch {torch.__version__.split('+')[0]} in f64.\n")
    print('#include "tests/core/train/golden_training.h"\n\nnamespace lockstep {\n')
    both = (torch.float64, torch.float32)
    show("kRecipe", *(recipe(dtype, 10, False) for dtype in both))
    print()
    show("kFrozen", *(recipe(dtype, 1, True) for dtype in both))
    print()
    show("kAdamW", *(perceptron(dtype) for dtype in both))
    print("\n}  // namespace lockstep")


if __name__ == "__main__":
    main()
