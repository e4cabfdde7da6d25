"""The machine, the libraries and the programs: versions, and the GPU as it was found."""
import json
import shutil

import machine

ORDER = 10
MINUTES = 1.0

PYTHON = """
import importlib, json, sys
found = {"python": sys.version.split()[0]}
for name in ("torch", "torchvision", "triton", "numpy"):
    try: found[name] = importlib.import_module(name).__version__
    except Exception as error: found[name] = f"none ({type(error).__name__})"
try:
    import torch
    if torch.cuda.is_available():
        p = torch.cuda.get_device_properties(0)
        found["gpu"] = {"name": p.name, "capability": f"{p.major}.{p.minor}", "processors": p.multi_processor_count, "l2_bytes": p.L2_cache_size,
                        "memory_bytes": p.total_memory, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(), "nccl": list(torch.cuda.nccl.version())}
except Exception as error: found["error"] = repr(error)
print(json.dumps(found))
"""


def run(job):
    places = job.places
    notes = {"lockstep": places.version.splitlines(), "device": places.device, "gpu_tests": str(places.gpu_tests)}
    notes["python"] = job.part("packages of " + places.python, lambda: json.loads(job.run([places.python, "-c", PYTHON], seconds=50).splitlines()[-1]))
    notes["tools"] = {name: places.tool(name) for name in ("nvidia-smi", "nvcc", "compute-sanitizer", "ncu")}
    notes["disk_free_bytes"] = shutil.disk_usage(job.folder).free
    if machine.gpu_facts() is None:
        job.leave_out("the GPU's facts", "no nvidia-smi here, or no GPU")
    else:
        notes["nvidia_smi"] = job.part("nvidia-smi -q", lambda: job.run(["nvidia-smi", "-q", "-d", "CLOCK,POWER,PERFORMANCE,ECC,TEMPERATURE"], seconds=20).splitlines())
        job.check("the program sees the GPU that nvidia-smi names", places.device == "cuda", f"run.device is {places.device}")
    return notes
