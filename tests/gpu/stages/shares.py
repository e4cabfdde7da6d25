"""ResNet-50's step by kind of work: bandwidth as a share of measured copies, and the whole step against its roofline."""
import json

from beside_torch import our_step

ORDER = 45
MINUTES = 3.0
# Kinds of work that move bytes and compute nothing to speak of, by the ops that make them up, and the target.
KINDS = {
    "global norm and optimizer": (("norm", "decide", "update"), 0.85),
    "batch norm, add, relu": (("batch_norm",), 0.85),
    "pooling": (("max_pool", "global_average_pool"), None),
    "gradients folded over lanes": (("fold",), None),
}


def run(job):
    tiny = job.options.tiny
    model, batch, precision = ("fashion_mnist", 32, "f32") if tiny else ("resnet50", 256, "bf16")
    report = job.folder / "step.json"
    times = ["--seconds", 0.1, "--warm-up", 0.05, "--block", 0.03] if tiny else ["--seconds", 6, "--warm-up", 4]
    job.run([*our_step(job, model, batch, precision), *times, "--json", report], seconds=170)
    step = json.loads(report.read_text())
    entries, copy = step["profile"]["entries"], step["rates"]["copies"][0]["bytes_per_second"]
    job.notes.update(report={key: value for key, value in step.items() if key != "blocks"})
    job.figure(f"{model} batch {batch} {precision}: samples/s", [batch * block["steps"] / block["seconds"] for block in step["blocks"]], "samples/s")
    job.figure("roofline / measured step", step["roofline_seconds"] / step["step_seconds"]["median"], "of 1", roofline_seconds=step["roofline_seconds"])
    job.figure("bytes of a sample", sum(entry["bytes"] for entry in entries) / batch / 1e6, "MB")
    job.figure("operations of a sample", sum(entry["operations"] for entry in entries) / batch / 1e9, "GFLOP")
    for kind, (ops, target) in KINDS.items():
        mine = [entry for entry in entries if entry["op"].startswith(ops)]
        seconds, moved = (sum(entry[key] for entry in mine) for key in ("seconds", "bytes"))
        if seconds > 0 and moved > 0:
            job.figure(f"{kind}: bandwidth / copies", moved / seconds / copy, "of 1", target, ms=1e3 * seconds, megabytes=moved / 1e6)
        else:
            job.leave_out(kind, "no such work, or it was not timed")
