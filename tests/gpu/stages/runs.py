"""Whole runs of the program: equal digests on 1 to 3 ranks, recorded and queued, straight and resumed; the CPU's losses."""
import data

ORDER = 30
MINUTES = 5.0


def run(job):
    steps, precisions = (2, ["f32"]) if job.options.tiny else (12, ["bf16", "f32"])
    small = ["data.global_batch=16", "run.lanes=4"] if job.options.tiny else []
    data.make_data(job, 24 if job.options.tiny else 2304)

    def digest(directory, *overrides, ranks=0, **options):
        return data.digest(job.lockstep(*data.recipe(job, directory, *small, f"train.steps={steps}", *overrides), ranks=ranks, seconds=150, **options))

    for precision in precisions:
        arguments = [f"run.precision={precision}"]
        alone = job.part(f"one rank trains in {precision}", lambda: digest(f"{precision}-1", *arguments))
        if not alone:
            continue
        for ranks in (2,) if job.options.tiny else (2, 3):
            several = job.part(f"{ranks} ranks train in {precision}", lambda: digest(f"{precision}-{ranks}", *arguments, "run.collectives=staged", ranks=ranks))
            if several:
                job.check(f"{ranks} ranks on one {job.places.device} give the digest of one, {precision}", several == alone, f"{several}, {alone}")
        job.part(f"resume in {precision}", lambda: resume(job, small, steps, arguments, alone))
    job.part("replays", lambda: replays(job, small))
    if job.places.device == "cuda":
        job.part("the CPU's losses", lambda: like_cpu(job, digest))
    else:
        job.leave_out("losses on the GPU beside the CPU's", "no GPU here")


def resume(job, small, steps, arguments, straight):
    """Stopped half-way on one rank, resumed on two; then evaluated."""
    half = steps // 2
    job.lockstep(*data.recipe(job, "stopped", *small, f"train.steps={half}", *arguments), seconds=100)
    out = job.lockstep("resume", job.folder / "stopped", f"train.steps={steps}", "run.collectives=staged", "--progress=plain", ranks=2, seconds=100)
    job.check(f"stopped and resumed on 2 ranks gives the straight run's digest, {arguments[0]}", data.digest(out) == straight, f"{data.digest(out)}, {straight}")
    out = job.lockstep("evaluate", job.folder / "stopped", "--data", f"{job.folder}/test.h5:/train", seconds=60)
    job.notes[f"evaluate, {arguments[0]}"] = out.splitlines()[-1]
    (job.folder / "stopped").rename(job.folder / f"stopped-{arguments[0]}")


def replays(job, small):
    """--profile queues each piece of work by itself; without it, a step is a replay of one recording."""
    steps = 2 if job.options.tiny else 100
    digests = [data.digest(job.lockstep(*data.recipe(job, f"replay{i}", *small, f"train.steps={steps}", *more), seconds=150)) for i, more in
               enumerate(([], ["--profile"], []))]
    job.check(f"{steps} replayed steps give the bits of {steps} queued ones, and of themselves again", len(set(digests)) == 1, ", ".join(digests))


def like_cpu(job, digest):
    """f32 on both: the same formulas, sums in another order."""
    steps = 2 if job.options.tiny else 6
    for device in ("cuda", "cpu"):
        digest(f"like-{device}", f"train.steps={steps}", "run.precision=f32", f"run.device={device}", "run.threads=auto")
    cuda, cpu = (data.losses(job, f"like-{device}") for device in ("cuda", "cpu"))
    job.notes["losses"] = {"cuda": cuda, "cpu": cpu}
    apart = max(abs(a - b) / abs(b) for a, b in zip(cuda, cpu))
    job.check(f"{steps} steps' losses are the CPU's to 1e-3", len(cuda) == len(cpu) == steps and apart < 1e-3, f"largest relative difference {apart:.2e}")
