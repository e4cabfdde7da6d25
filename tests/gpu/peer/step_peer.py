#!/usr/bin/env python3
"""Training steps in PyTorch, served: the other side of `lockstep bench step --serve`; the protocol is in ../abba.py.

Channels last, fused SGD with Nesterov momentum, clipping by foreach norms, cudnn.benchmark. Favourable to PyTorch: the batch lies
ready on the device in the type of the first convolution, and no loss is read until a block ends. Weights are f32; --precision
bf16 is autocast, pure-bf16 holds the weights in bf16 too (other arithmetic than ours: for orientation alone).
"""
import argparse
import contextlib
import json
import sys
import time

import torch
import torch.nn.functional as F

import networks


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=[*networks.STAGES, "fashion_mnist"], default="resnet50")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--shape", default="224,224,3", help="height, width, channels")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--precision", choices=["f32", "tf32", "bf16", "pure-bf16"], default="bf16")
    parser.add_argument("--compile", default="", help="torch.compile's mode: default, reduce-overhead, max-autotune, max-autotune-no-cudagraphs")
    parser.add_argument("--graph", action="store_true", help="the whole step as one CUDA graph")
    parser.add_argument("--clip", type=float, default=0.0, help="the largest global norm of the gradients; 0: none is taken")
    parser.add_argument("--label-smoothing", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds, after what is compiled")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    return parser.parse_args()


class Peer:
    def __init__(self, options):
        self.options = options
        self.device = options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        if options.threads:
            torch.set_num_threads(options.threads)
        torch.manual_seed(1)
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = options.precision == "tf32"
        height, width, channels = (int(part) for part in options.shape.split(","))
        pure = options.precision == "pure-bf16"
        model, self.source = networks.make(options.model, channels, options.classes)
        self.model = model.to(self.device, torch.bfloat16 if pure else torch.float32).to(memory_format=torch.channels_last).train()
        narrow = torch.bfloat16 if options.precision.endswith("bf16") else torch.float32
        self.x = torch.randn(options.batch, channels, height, width, device=self.device).to(narrow).to(memory_format=torch.channels_last)
        self.y = torch.randint(0, options.classes, (options.batch,), device=self.device)
        plain = [p for p in model.parameters() if p.ndim > 1]
        rest = [p for p in model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.SGD([{"params": plain, "weight_decay": 5e-5}, {"params": rest, "weight_decay": 0.0}], lr=1e-3, momentum=0.9, nesterov=True,
                                         fused=True)
        self.loss_of = torch.compile(self.forward, mode=options.compile) if options.compile else self.forward
        self.replay = None

    def autocast(self):
        if self.options.precision != "bf16":
            return contextlib.nullcontext()
        return torch.autocast(self.device, dtype=torch.bfloat16, cache_enabled=not self.options.graph)

    def forward(self, x, y):
        return F.cross_entropy(self.model(x).float(), y, label_smoothing=self.options.label_smoothing)

    def step(self):
        """The loss, which the caller does not keep: a step's graph of gradients must not outlive it where steps are captured."""
        if self.options.compile:
            torch.compiler.cudagraph_mark_step_begin()
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            loss = self.loss_of(self.x, self.y)
        loss.backward()
        if self.options.clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip, foreach=True)
        self.optimizer.step()
        return loss.detach()

    def wait(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def capture(self):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(5):
                self.step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step()
        self.replay = graph.replay

    def run(self, count):
        """Seconds of `count` steps, begun and ended with an idle device."""
        step = self.replay or self.step
        self.wait()
        start = time.perf_counter()
        for _ in range(count):
            step()
        self.wait()
        return time.perf_counter() - start

    def warm_up(self):
        for _ in range(3):
            self.loss = float(self.step())
        if self.options.graph:
            self.capture()
        end = time.monotonic() + self.options.warm_up
        while time.monotonic() < end:
            self.run(3)

    def facts(self):
        facts = {**vars(self.options), "torch": torch.__version__, "device": "cpu", "threads": torch.get_num_threads(), "network": self.source,
                 "parameters": sum(p.numel() for p in self.model.parameters()), "loss": self.loss}
        if self.device == "cuda":
            facts.update(device=torch.cuda.get_device_name(), cuda=torch.version.cuda, cudnn=torch.backends.cudnn.version(),
                         memory_bytes=torch.cuda.max_memory_reserved())
        return facts


def main():
    peer = Peer(parse())
    peer.warm_up()
    print(json.dumps({"ready": True, **peer.facts()}), flush=True)
    for line in sys.stdin:
        count = int(line)
        print(json.dumps({"steps": count, "seconds": peer.run(count)}), flush=True)


if __name__ == "__main__":
    main()
