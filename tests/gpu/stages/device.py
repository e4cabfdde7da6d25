"""The device's ceilings: copies and matrix products by `lockstep bench device`, and PyTorch's of the same sizes."""
import json
import pathlib

import beside_torch

ORDER = 35
MINUTES = 2.0
PEER = pathlib.Path(__file__).resolve().parents[1] / "peer" / "device_peer.py"


def run(job):
    places, tiny = job.places, job.options.tiny
    sizes = ["--copy-size=1MiB", "--product-size=64", "--seconds=0.02"] if tiny else []
    output = job.lockstep("bench", "device", "--json", *sizes, f"run.device={places.device}", seconds=60)
    rates = json.loads(output[output.index("{"):])["devices"][0]
    job.notes["lockstep"] = rates
    for copy in rates["copies"]:
        job.figure(f"copy of {copy['bytes'] / 2**20:g} MiB", copy["bytes_per_second"] / 1e9, "GB/s, read + written")
    for product in rates["products"]:
        job.figure(f"product {product['precision']}", product["operations_per_second"] / 1e12, "TFLOP/s", kernel=product["kernel"], size=rates["product_size"])
    if lacking := beside_torch.no_peer(job, places.device):
        job.leave_out("PyTorch's copy and products", lacking)
        return
    command = [places.python, PEER, *(["--bytes", 1 << 20, "--size", 64, "--repeats", 3, "--warm-up", 0.02] if tiny else [])]
    peer = job.part("PyTorch's ceilings", lambda: json.loads(job.run(command, seconds=60).splitlines()[-1]))
    if peer:
        job.notes["pytorch"] = {key: value for key, value in peer.items() if key != "values"}
        for name, values in peer["values"].items():
            job.figure(f"PyTorch {name}", values, "TFLOP/s" if "matmul" in name else "GB/s, read + written")
