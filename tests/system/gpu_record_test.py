"""tests/gpu/run.sh where no GPU is: a rehearsal of its stages, the record that it writes, and its blocks A B B A."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
import types
import unittest

import job

GPU = pathlib.Path(__file__).resolve().parents[1] / "gpu"
PREFIX = pathlib.Path(job.PROGRAM).resolve().parents[1]
SHIM = os.environ.get("LOCKSTEP_SHIM", "")

SERVED = """\
import json, sys, time
name, millisecond, log = sys.argv[1:]
print("hello from", name); print(json.dumps({"ready": True, "name": name}), flush=True)
for line in sys.stdin:
    open(log, "a").write(f"{name} {int(line)}\\n")
    print(json.dumps({"steps": int(line), "seconds": int(line) * float(millisecond) / 1e3}), flush=True)
"""


class GpuRecordTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="lockstep-gpu-record-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "out"

    def record(self, *arguments, code=0, prefix=PREFIX, environment=None):
        """What run.sh printed, and the record."""
        variables = {**os.environ, "PYTHON": sys.executable, "LOCKSTEP_MPIRUN": job.MPIRUN, **(environment or {})}
        done = subprocess.run([GPU / "run.sh", prefix, self.out, *arguments], env=variables, capture_output=True, text=True, timeout=110, check=False)
        log = self.out / "log.txt"
        self.assertEqual(done.returncode, code, done.stdout + done.stderr + (log.read_text()[-6000:] if log.exists() else ""))
        record = self.out / "record.json"
        return done, json.loads(record.read_text()) if record.exists() else None

    def check_schema(self, record):
        self.assertEqual(record["schema"], 1)
        for key in ("program", "machine", "rehearsal", "stages"):
            self.assertIn(key, record)
        self.assertTrue(record["machine"]["processor"]["name"])
        for name, entry in record["stages"].items():
            with self.subTest(stage=name):
                self.assertIn(entry["state"], ("done", "skipped", "failed"))
                self.assertRegex(entry["date"], r"^20\d\d-\d\d-\d\dT")
                if entry["state"] != "done":
                    self.assertTrue(entry["reason"])
                for figure in entry["figures"].values():
                    self.assertLessEqual(figure["min"], figure["median"])
                    self.assertLessEqual(figure["median"], figure["max"])
                    self.assertTrue(figure["unit"])
                for left in entry["left_out"]:
                    self.assertTrue(left["what"] and left["why"])

    def test_every_stage_runs_or_says_why_not(self):
        done, record = self.record("--tiny")
        self.check_schema(record)
        self.assertTrue(record["rehearsal"])
        self.assertEqual(list(record["stages"]), [path.stem for path in sorted((GPU / "stages").glob("*.py"), key=order_of)])
        for name, entry in record["stages"].items():
            self.assertRegex(done.stdout, rf"(?m)^{entry['state']} +{name} ")
        if record["stages"]["facts"]["device"] == "cpu":
            states = {name: entry["state"] for name, entry in record["stages"].items()}
            for name in ("tests", "sanitizer", "plans", "fashion", "step_small"):
                self.assertEqual(states[name], "skipped", name)
            for name in ("facts", "runs", "device", "step", "exact", "shares", "profile"):
                self.assertEqual(states[name], "done", name)
            self.assertIn("--data", record["stages"]["fashion"]["reason"])
            self.assertIn("no GPU here", done.stdout)

    @unittest.skipUnless(SHIM, "this build has no CUDA headers, so there is no shim")
    def test_the_shim_takes_the_gpus_place(self):
        environment = {"LD_LIBRARY_PATH": f"{SHIM}/driver:" + os.environ.get("LD_LIBRARY_PATH", ""), "LOCKSTEP_CUDA_LIBRARIES": "/nowhere"}
        _, record = self.record("--tiny", "--stages", "runs,step", prefix=SHIM, environment=environment)
        self.check_schema(record)
        runs, step = record["stages"]["runs"], record["stages"]["step"]
        self.assertEqual({runs["device"], step["device"]}, {"cuda"})
        self.assertTrue(any(check["name"] == "2 ranks on one cuda give the digest of one, f32" for check in runs["checks"]), runs["checks"])
        self.assertTrue(any("the CPU's" in check["name"] for check in runs["checks"]), runs["checks"])
        self.assertIn("fashion_mnist batch 16 f32 on cuda: Lockstep", step["figures"])

    def plant(self, name, body):
        (self.folder / "more").mkdir(exist_ok=True)
        (self.folder / "more" / f"{name}.py").write_text(textwrap.dedent(body))
        return ["--more-stages", self.folder / "more"]

    def test_a_stage_that_fails_is_recorded_and_the_rest_goes_on(self):
        self.plant("broken", '"""Broken."""\nORDER, MINUTES = 1, 1\ndef run(job):\n    job.run(["sh", "-c", "echo said last; exit 3"])\n')
        self.plant("slow", '"""Slow."""\nORDER, MINUTES = 2, 0.02\ndef run(job):\n    job.run(["sleep", "60"])\n')
        more = self.plant("wrong", '"""Wrong."""\nORDER, MINUTES = 3, 1\ndef run(job):\n    job.part("a part", lambda: 1 / 0)\n    job.check("a check", True)\n')
        done, record = self.record("--stages", "broken,slow,wrong,facts", *more, code=1)
        self.check_schema(record)
        states = {name: entry["state"] for name, entry in record["stages"].items()}
        self.assertEqual(states, {"broken": "failed", "slow": "failed", "wrong": "failed", "facts": "done"})
        self.assertEqual(record["stages"]["broken"]["tail"], ["said last"])
        self.assertIn("ended with 3 where 0 was expected", record["stages"]["broken"]["reason"])
        self.assertIn("not done after 1 s: sleep 60", record["stages"]["slow"]["reason"])
        self.assertEqual(record["stages"]["wrong"]["reason"], "failed: a part")
        self.assertEqual([check["ok"] for check in record["stages"]["wrong"]["checks"]], [False, True])
        self.assertIn("failed   broken", done.stdout)
        # The next call carries the record on: what it runs takes the place of what is there.
        self.record("--stages", "broken", *self.plant("broken", '"""Mended."""\nORDER, MINUTES = 1, 1\ndef run(job):\n    pass\n'))
        again = json.loads((self.out / "record.json").read_text())["stages"]
        self.assertEqual((again["broken"]["state"], again["slow"]["state"]), ("done", "failed"))

    def test_without_time_a_stage_is_skipped(self):
        _, record = self.record("--stages", "facts", "--minutes", "0")
        self.assertEqual(record["stages"]["facts"]["reason"], "no time left of --minutes 0")

    def test_mistakes_are_named(self):
        done, _ = self.record("--stages", "fact", code=64)
        self.assertIn('--stages: no stage "fact"; known: facts, tests,', done.stderr)
        done, _ = self.record(code=64, prefix=self.folder)
        self.assertIn("expected a bundle or a build with bin/lockstep in it", done.stderr)
        (self.out / "record.json").write_text(json.dumps({"schema": 1, "program": "another"}))
        done, _ = self.record("--stages", "facts", code=64)
        self.assertIn("record.json: cannot be carried on: its program is another", done.stderr)

    def test_blocks_go_b_a_a_b(self):
        sys.path.insert(0, str(GPU))
        import abba
        import stage
        places = types.SimpleNamespace(environment=lambda more: {**os.environ, **(more or {})})
        with open(self.folder / "log.txt", "w", encoding="utf-8") as log:
            work = stage.Job(places, types.SimpleNamespace(tiny=True), self.folder, log, 60)
            (self.folder / "served.py").write_text(SERVED)

            def side(name, millisecond, samples):
                return abba.Side(work, name, [sys.executable, "served.py", name, millisecond, self.folder / "asked"], samples)

            with side("ours", 2, 8) as ours, side("peer", 6, 16) as peer:
                for one in (ours, peer):
                    one.ready(20)
                result = abba.compare(ours, peer, rounds=2, block_seconds=0.05)
            asked = (self.folder / "asked").read_text().split("\n")[:-1]
            self.assertEqual(asked, ["ours 3"] * 2 + ["peer 3"] * 2 + ["peer 9", "ours 25", "ours 25", "peer 9"] * 2)
            # 3 times as many steps a second, of half as many samples.
            self.assertAlmostEqual(result["ratio"]["median"], 1.5)
            self.assertEqual((len(result["ours"]["step_ms"]["values"]), len(result["peer"]["step_ms"]["values"])), (4, 4))
            self.assertEqual(ours.facts["name"], "ours")
            with side("gone", 2, 8) as gone, self.assertRaisesRegex(stage.Failed, "gone: ended with 1 where an answer was expected"):
                gone.ready(20)
                gone._process.stdin.write("no number\n")
                gone.steps(1)


def order_of(path):
    return int(re.search(r"(?m)^ORDER = (\d+)", path.read_text())[1])


if __name__ == "__main__":
    unittest.main()
