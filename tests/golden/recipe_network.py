"""The recipe's network in PyTorch, that of tests/bench/pytorch_ddp.py, with Lockstep's names of its tensors."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
from pytorch_ddp import Network  # noqa: E402, F401

PARTS = {"stem": "conv2d", "bn": "batch_norm", "conv1": "residual.conv2d", "bn1": "residual.batch_norm", "conv2": "residual.conv2d_2",
         "bn2": "residual.batch_norm_2", "project.0": "residual.shortcut.conv2d", "project.1": "residual.shortcut.batch_norm",
         "head": "head"}


def lockstep_name(name):
    """blocks.1.project.0.weight -> basic_2.residual.shortcut.conv2d.weight"""
    module, leaf = name.rsplit(".", 1)
    block = ""
    if module.startswith("blocks."):
        _, number, module = module.split(".", 2)
        block = "basic." if number == "0" else f"basic_{int(number) + 1}."
    return f"{block}{PARTS[module]}.{leaf}"


def tensors(model):
    """Parameters and moving averages by Lockstep's names."""
    return {lockstep_name(name): tensor for name, tensor in model.state_dict().items() if not name.endswith("num_batches_tracked")}
