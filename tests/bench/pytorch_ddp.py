"""The peer: PyTorch DistributedDataParallel (gloo, one thread a rank) training the recipe's network on the CPU.

Prints one JSON line: images per second (median over steps) and the settings. Favourable to the peer: the batch lies
ready in memory (no input work), and batch norm uses each rank's own statistics (no exchange).
Run by compare.py, or by hand: python pytorch_ddp.py --ranks 2 --precision f32 --steps 30 [--compile]
"""
import argparse
import json
import os
import statistics
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn


class Basic(nn.Module):
    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.project = None
        if stride != 1 or inputs != filters:
            self.project = nn.Sequential(nn.Conv2d(inputs, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        shortcut = x if self.project is None else self.project(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class Network(nn.Module):
    """examples/fashion_mnist/run.toml: stem 3x3 stride 2 to 32, basic blocks 32, 64, 128, global average, dense 10."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(32)
        self.blocks = nn.Sequential(Basic(32, 32, 1), Basic(32, 64, 2), Basic(64, 128, 2))
        self.head = nn.Linear(128, 10)

    def forward(self, x):
        x = self.blocks(F.relu(self.bn(self.stem(x))))
        return self.head(x.mean((2, 3)))


def work(rank, options, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    dist.init_process_group("gloo", rank=rank, world_size=options.ranks)
    rows = options.batch // options.ranks
    model = Network().to(memory_format=torch.channels_last)
    model = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    step_model = torch.compile(model) if options.compile else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4, foreach=True)
    x = torch.randn(rows, 1, 28, 28).to(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (rows,))
    seconds = []
    for step in range(options.warm_up + options.steps):
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.precision == "bf16"):
            loss = F.cross_entropy(step_model(x), y, label_smoothing=0.1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        if step >= options.warm_up:
            seconds.append(time.perf_counter() - start)
    if rank == 0:
        median = statistics.median(seconds)
        print(json.dumps({"images_per_second": options.batch / median, "step_ms": 1e3 * median, "precision": options.precision,
                          "compiled": options.compile, "ranks": options.ranks, "threads": options.threads, "torch": torch.__version__}), flush=True)
    dist.barrier()
    dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    torch.multiprocessing.spawn(work, args=(options, 29400 + os.getpid() % 1000), nprocs=options.ranks)


if __name__ == "__main__":
    main()
