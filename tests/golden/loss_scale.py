"""Prints the golden values of tests/core/train/loss_scaler_test.cpp: (log2 of the scale, good steps); run with PyTorch 2.15.0."""
import math

import torch

# 1: the gradients of the step were finite, 0: they were not.
STEPS = "1110111111011101111111110000111"


def scales(initial, growth_steps):
    scaler = torch.amp.GradScaler("cpu", init_scale=initial, growth_interval=growth_steps)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    rows = []
    for finite in STEPS:
        optimizer.zero_grad()
        scaler.scale(weight.sum() * (1.0 if finite == "1" else float("inf"))).backward()
        scaler.step(optimizer)
        scaler.update()
        rows.append((scaler.get_scale(), scaler._get_growth_tracker()))
    return rows


for initial, growth_steps in ((2.0**16, 4), (2.0**126, 3)):
    print(f"2^{math.log2(initial):g}, growth_steps {growth_steps}:",
          ", ".join(f"{{{math.log2(scale):g}, {good}}}" for scale, good in scales(initial, growth_steps)))
defaults = torch.amp.GradScaler("cpu")
print("defaults", defaults.get_scale(), defaults.get_growth_factor(), defaults.get_backoff_factor(), defaults.get_growth_interval())
