#!/usr/bin/env python3
"""What PyTorch reaches of the device's two ceilings, on random numbers: one JSON line with GB/s of copies and TFLOP/s of products."""
import argparse
import json
import statistics
import time

import torch


def seconds(device, work, repeats, warm_up):
    """Median of one call's seconds."""
    end = time.monotonic() + warm_up
    while time.monotonic() < end:
        work()
        if device == "cuda":
            torch.cuda.synchronize()
    times = []
    for _ in range(repeats):
        if device == "cuda":
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            work()
            last.record()
            last.synchronize()
            times.append(first.elapsed_time(last) / 1e3)
        else:
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=4 << 30)
    parser.add_argument("--size", type=int, default=8192)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--warm-up", type=float, default=1.0)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a = torch.randint(-100, 100, (options.bytes // 4,), dtype=torch.int32, device=device)
    b = torch.empty_like(a)
    rates = {"copy_gb_s": [2 * options.bytes / t / 1e9 for t in seconds(device, lambda: b.copy_(a), options.repeats, options.warm_up)]}
    del a, b
    torch.backends.cuda.matmul.allow_tf32 = True
    for name, dtype in (("bf16", torch.bfloat16), ("f16", torch.float16), ("tf32", torch.float32)):
        x, y = (torch.randn(options.size, options.size, device=device).to(dtype) for _ in range(2))
        out = torch.empty(options.size, options.size, device=device, dtype=dtype)
        rates[f"matmul_{name}_tflop_s"] = [2 * options.size**3 / t / 1e12
                                           for t in seconds(device, lambda: torch.matmul(x, y, out=out), options.repeats, options.warm_up)]
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(json.dumps({"torch": torch.__version__, "device": torch.cuda.get_device_name() if device == "cuda" else "cpu", **vars(options), "medians": medians,
                      "values": rates}))


if __name__ == "__main__":
    main()
