"""What can be said of a machine and of its GPU's state. Asks only; changes no setting."""
import os
import pathlib
import platform
import re
import subprocess

STATE = ("clocks.sm", "clocks.mem", "power.draw", "temperature.gpu", "clocks_event_reasons.active", "utilization.gpu", "memory.used")
FACTS = ("name", "uuid", "driver_version", "mig.mode.current", "memory.total", "clocks.max.sm", "clocks.max.mem", "power.limit", "compute_mode",
         "ecc.mode.current")


def _ask(fields):
    """One GPU's answers by field; a field that this driver does not know is left out. None without a GPU."""
    def query(names):
        try:
            return subprocess.run(["nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader,nounits", "--id=0"], capture_output=True, text=True,
                                  timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None

    whole = query(fields)
    if whole is None:
        return None
    if whole.returncode == 0:
        return dict(zip(fields, (part.strip() for part in whole.stdout.splitlines()[0].split(","))))
    answers = {}
    for name in fields:
        one = query([name])
        if one is not None and one.returncode == 0 and one.stdout.strip():
            answers[name] = one.stdout.splitlines()[0].strip()
    return answers or None


def gpu_state():
    return _ask(STATE)


def gpu_facts():
    return _ask(FACTS)


def memory_bytes():
    text = pathlib.Path("/proc/meminfo").read_text()
    return int(re.search(r"MemTotal:\s*(\d+)", text).group(1)) * 1024


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*:\s*(.*)", text)
    flags = set((re.search(r"flags\s*:\s*(.*)", text) or [None, ""])[1].split())
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return {"name": name.group(1) if name else platform.machine(), "instructions": known, "cores": len(os.sched_getaffinity(0))}


def machine_facts():
    return {"host": platform.node(), "kernel": platform.release(), "system": _system(), "processor": processor(), "memory_bytes": memory_bytes(),
            "python": platform.python_version(), "gpu": gpu_facts()}


def _system():
    try:
        return re.search(r'PRETTY_NAME="?([^"\n]*)', pathlib.Path("/etc/os-release").read_text())[1]
    except (OSError, TypeError):
        return platform.system()
