"""Prints the golden values of tests/core/schedules: run with PyTorch 2.15.0."""
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, MultiStepLR, OneCycleLR, ReduceLROnPlateau


def optimizer(rate=1.0):
    return SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate, momentum=0.9)


def show(name, rows):
    print(name, ", ".join(f"{value:.17g}" for value in rows))


def run(opt, schedule, steps, key="lr"):
    rows = []
    for _ in range(steps):
        rows.append(opt.param_groups[0][key])
        opt.step()
        schedule.step()
    return rows


def one_cycle(key, **options):
    opt = optimizer()
    return run(opt, OneCycleLR(opt, max_lr=1.0, total_steps=11, **options), 10, key) + [opt.param_groups[0][key]]


torch.set_default_dtype(torch.float64)
options = dict(pct_start=0.3, div_factor=25.0, final_div_factor=1e4, max_momentum=0.95, base_momentum=0.85)
show("one_cycle cosine", one_cycle("lr", **options))
show("one_cycle momentum", one_cycle("momentum", **options))
show("one_cycle linear", one_cycle("lr", anneal_strategy="linear", **options))
opt = optimizer()
show("cosine", run(opt, CosineAnnealingLR(opt, T_max=8, eta_min=0.1), 9))
opt = optimizer()
show("warm_up", run(opt, LinearLR(opt, start_factor=0.01, total_iters=4), 6))
opt = optimizer()
show("step_decay", run(opt, MultiStepLR(opt, milestones=[2, 5], gamma=0.1), 7))
opt = optimizer()
plateau = ReduceLROnPlateau(opt, mode="min", factor=0.5, patience=1, threshold=0.05, threshold_mode="abs", cooldown=2, min_lr=0.2)
rows = []
for loss in [1.0, 0.9, 0.88, 0.87, 0.86, 0.85, 0.85, 0.85, 0.85, 0.7, float("nan"), 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]:
    plateau.step(loss)
    rows.append(opt.param_groups[0]["lr"])
show("plateau", rows)
