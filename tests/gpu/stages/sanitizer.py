"""compute-sanitizer: memcheck and racecheck on small kernels, and memcheck on a short training."""
import data
from stage import Skip

ORDER = 70
MINUTES = 5.0
KERNELS = "*BatchNorm*:*Pool*:*CrossEntropy*:*TopK*:*Copy*:*Dropout*:*Fold*:*Step*:*Input*"


def run(job):
    tool = job.places.tool("compute-sanitizer")
    if job.places.device == "cpu":
        raise Skip("no GPU here")
    if not tool:
        raise Skip("no compute-sanitizer on this machine")
    job.notes["version"] = job.run([tool, "--version"]).splitlines()

    def check(name, which, *program):
        command = [tool, "--tool", which, "--error-exitcode", "86", "--target-processes", "all", "--print-limit", "20", *program]
        output = job.part(name, lambda: job.run(command, seconds=140))
        if output is not None:
            summary = [line for line in output.splitlines() if "SUMMARY" in line]
            job.check(f"{name}: no errors", summary and all(" 0 " in line for line in summary), "; ".join(summary)[:500])

    if job.places.gpu_tests:
        for which in ("memcheck", "racecheck"):
            check(f"{which} of kernels", which, job.places.gpu_tests, f"--gtest_filter={KERNELS}", "--gtest_brief=1")
    else:
        job.leave_out("kernels", "this bundle or build has no gpu_tests")
    # A short last batch, recorded and queued.
    data.make_data(job, 80)
    for more in ([], ["--profile"]):
        arguments = data.recipe(job, "run" + "".join(more), "data.global_batch=32", "run.lanes=8", "train.steps=5", *more)
        check(f"memcheck of a training{' '.join(['', *more])}", "memcheck", job.places.lockstep, *arguments)
