"""Loads exported weights into PyTorch's network and compares its outputs with those of `lockstep predict`. Run by hand, in a
Python with torch and safetensors; h5py may be in another one (--hdf5-python).

    lockstep train examples/fashion_mnist/run.toml run.precision=f32 train.steps=60
    lockstep export runs/fashion_mnist weights.safetensors
    lockstep predict runs/fashion_mnist --data fashion.h5:/test --out predictions.h5
    python tests/golden/check_export.py weights.safetensors predictions.h5 --train fashion.h5:/train --data fashion.h5:/test

Images are standardized here with mean and deviation of the training set, so predict's own scaling is checked too. Exits with 1
where an output differs by more than --most (1e-5, of the largest output). The run must have been in f32.
"""
import argparse
import io
import subprocess
import sys

import numpy
import torch
from safetensors.torch import load_file

from recipe_network import Network, tensors

READ = "import h5py, numpy, sys; numpy.save(sys.stdout.buffer, h5py.File(sys.argv[1])[sys.argv[2]][:])"


def read(python, path, dataset):
    done = subprocess.run([python, "-c", READ, path, dataset], stdout=subprocess.PIPE, check=True)
    return torch.from_numpy(numpy.load(io.BytesIO(done.stdout)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("predictions")
    parser.add_argument("--train", required=True, help="file.h5:/group of the training set")
    parser.add_argument("--data", required=True, help="file.h5:/group that was predicted")
    parser.add_argument("--most", type=float, default=1e-5)
    parser.add_argument("--hdf5-python", default=sys.executable)
    options = parser.parse_args()

    def images(source):
        path, group = source.split(":")
        return read(options.hdf5_python, path, f"{group}/images").permute(0, 3, 1, 2).double()

    train = images(options.train)
    mean, deviation = train.mean((0, 2, 3), keepdim=True), train.std((0, 2, 3), keepdim=True, correction=0)
    model = Network().eval()
    named, weights = tensors(model), load_file(options.weights)
    if set(named) != set(weights):
        sys.exit(f"other tensors: {sorted(set(named) ^ set(weights))}")
    with torch.no_grad():
        for name, tensor in named.items():
            tensor.copy_(weights[name])
        x = ((images(options.data) - mean) / deviation).float()
        expected = torch.cat([model(part) for part in x.split(500)])
    found = read(options.hdf5_python, options.predictions, "predictions")
    if found.shape != expected.shape:
        sys.exit(f"predictions {list(found.shape)}, expected {list(expected.shape)}")
    difference, scale = (found - expected).abs().max().item(), expected.abs().max().item()
    same = (found.argmax(1) == expected.argmax(1)).float().mean().item()
    print(f"{len(expected)} samples, PyTorch {torch.__version__}: largest output {scale:.3g}, largest difference {difference:.2e} "
          f"({difference / scale:.1e} of it), {100 * same:.2f} % equal classes")
    sys.exit(0 if difference <= options.most * scale else 1)


if __name__ == "__main__":
    main()
