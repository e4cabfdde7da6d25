"""gpu_tests: the kernels, layers and training steps of the engine against the CPU's, on the GPU."""
import concurrent.futures
import json
import re

from stage import Failed, Skip

ORDER = 20
MINUTES = 6.0
SHARDS, AT_ONCE = 6, 3


def cases(path):
    """(name, state, text of failures) of each test in a report of GoogleTest."""
    for suite in json.loads(path.read_text()).get("testsuites", []):
        for case in suite["testsuite"]:
            if case.get("status") != "RUN":
                continue
            state = "failed" if case.get("failures") else "skipped" if case.get("result") == "SKIPPED" else "passed"
            yield f"{suite['name']}.{case['name']}", state, "\n".join(part.get("failure", "") for part in case.get("failures", []))


def run(job):
    program = job.places.gpu_tests
    if not program:
        raise Skip("this bundle or build has no gpu_tests")

    def shard(number):
        report = job.folder / f"shard{number}.json"
        output = problem = ""
        try:
            output = job.run([program, f"--gtest_output=json:{report}"], seconds=300, environment={"GTEST_TOTAL_SHARDS": str(SHARDS), "GTEST_SHARD_INDEX": str(number)})
        except Failed as error:
            problem = str(error)
        return report, problem, re.findall(r": Skipped\n(.*)", output)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        shards = list(pool.map(shard, range(SHARDS)))
    found = {"passed": [], "failed": [], "skipped": []}
    reasons = set()
    for number, (report, problem, why) in enumerate(shards):
        reasons.update(line.strip() for line in why)
        if report.exists():
            for name, state, text in cases(report):
                found[state].append(name)
                if state == "failed":
                    job.check(name, False, text[-1500:])
        else:
            job.check(f"shard {number} of {SHARDS} ends with a report", False, problem)
    total = sum(map(len, found.values()))
    if total and len(found["skipped"]) == total and job.places.device == "cpu":
        raise Skip(f"all {total} tests: {'; '.join(sorted(reasons))}")
    job.check(f"{len(found['passed'])} of {total} tests passed, none was skipped", total and len(found["passed"]) == total, "; ".join(sorted(reasons)))
    return {name: len(names) if name == "passed" else names for name, names in found.items()}
