"""A recipe's training step beside PyTorch's ways to run the same one; what the stages `step*` share."""
import pathlib

from abba import Side, compare
from stage import Failed, Skip

PEER = pathlib.Path(__file__).resolve().parent / "peer" / "step_peer.py"
# PyTorch's ways, by name: the best of them is what we compare with. The last is other arithmetic (weights in bf16 alone), for orientation.
WAYS = {
    "compiled": ["--compile", "max-autotune"],
    "eager": [],
    "compiled, default": ["--compile", "default"],
    "compiled, one graph": ["--compile", "max-autotune-no-cudagraphs", "--graph"],
    "eager, one graph": ["--graph"],
    "compiled, bf16 weights": ["--compile", "max-autotune", "--precision", "pure-bf16"],
}
SHAPES = {"fashion_mnist": ([28, 28, 1], 10)}
NO_RANKING = ("compiled, bf16 weights",)


def run_file(job, model):
    folder = "resnet" if model.startswith("resnet") else model
    path = job.places.recipe(f"{folder}/{model}.toml" if folder != model else f"{model}/run.toml")
    if not path.is_file():
        raise Skip(f"no recipe {path}")
    return path


def our_step(job, model, batch, precision, *overrides, device=None):
    """The command of our steps, on the device that is there unless one is named."""
    height, width, channels = SHAPES.get(model, ([224, 224, 3], 1000))[0]
    return [job.places.lockstep, "bench", "step", run_file(job, model), f"data.global_batch={batch}", f"data.input.shape=[{height},{width},{channels}]",
            f"run.precision={precision}", f"run.device={device or job.places.device}", *overrides]


def no_peer(job, device):
    """Why PyTorch cannot be measured on this device; empty where it can."""
    try:
        has_gpu = job.run([job.places.python, "-c", "import torch; print(torch.cuda.is_available())"], seconds=60).split()[-1] == "True"
    except Failed:
        return "PyTorch is not installed"
    return "" if device == "cpu" or has_gpu else "PyTorch sees no GPU"


def beside_torch(job, model, batch, ways, precision="bf16", clip=0.0, targets=None, device=None):
    """Figures of one model and batch. `targets`: at least so much, by figure: "samples/s", and a ratio by way or "best"."""
    targets, tiny, device = targets or {}, job.options.tiny, device or job.places.device
    shape, classes = SHAPES.get(model, ([224, 224, 3], 1000))
    warm_up, seconds, rounds = (0.1, 0.05, 2) if tiny else (5, 2.0, 5)
    name = f"{model} batch {batch} {precision} on {device}"
    with Side(job, "lockstep", [*our_step(job, model, batch, precision, device=device), "--warm-up", warm_up, "--serve"], batch) as ours:
        ours.ready(240)
        results, lacking = {}, no_peer(job, device)
        for way in ways:
            if lacking:
                job.leave_out(f"{name}, PyTorch {way}", lacking)
                continue
            if job.left() < (2 if tiny else 60):
                job.leave_out(f"{name}, PyTorch {way}", f"{job.left():.0f} s are left of the stage")
                continue
            command = [job.places.python, PEER, "--model", model, "--batch", batch, "--shape", ",".join(map(str, shape)), "--classes", classes, "--clip", clip,
                       "--device", device, "--warm-up", warm_up, "--precision", precision, *(["--threads", "1"] if device == "cpu" else []), *WAYS[way]]
            result = job.part(f"{name}, PyTorch {way}", lambda: measure(job, ours, way, command, batch, rounds, seconds))
            if result:
                results[way] = result
                job.figure(f"{name}: Lockstep / PyTorch {way}", result["ratio"]["values"], "times as fast", targets.get(way), **sides(result))
        rates = [rate for result in results.values() for rate in result["ours"]["samples_a_second"]["values"]]
        if not rates:
            count = ours.block_steps(seconds)
            rates = [batch / ours.steps(count) for _ in range(2 * rounds)]
    job.figure(f"{name}: Lockstep", rates, "samples/s", targets.get("samples/s"), command=ours.command, facts=ours.facts)
    ranked = [way for way in results if way not in NO_RANKING]
    if ranked:
        best = min(ranked, key=lambda way: results[way]["ratio"]["median"])
        job.figure(f"{name}: Lockstep / PyTorch's best", results[best]["ratio"]["values"], "times as fast", targets.get("best"), best=best)


def sides(result):
    return {key: result[key] for key in ("ours", "peer", "protocol")}


def measure(job, ours, way, command, batch, rounds, seconds):
    with Side(job, f"PyTorch {way}", command, batch, {"TORCHINDUCTOR_CACHE_DIR": str(job.folder.parent / "inductor")}) as peer:
        try:
            peer.ready(400)
            job.check(f"PyTorch {way} has as many parameters", ours.facts.get("parameters") == peer.facts["parameters"],
                      f"{ours.facts.get('parameters')}, {peer.facts['parameters']}")
            return compare(ours, peer, rounds, seconds)
        except Failed as error:
            if job.left() < 1:
                raise Skip(f"the stage's time was over: {error}") from error
            raise
