"""`lockstep bench`: what it measures of a small run file, on one rank and on two, how it serves, and what it refuses."""
import json
import os
import subprocess
import unittest

import job

DECLARED = ('layout = "NHWC", scale', 'layout = "NHWC", shape = [12, 12], dtype = "u8", scale')
SMALL = ("--copy-size=4MiB", "--product-size=64")
SHORT = ("--seconds=0.2", "--warm-up=0.1", "--block=0.05", "--rate-seconds=0.001", *SMALL)
USAGE, IO, RUN_FILE = 64, 74, 78


class BenchTest(job.SystemTest):
    def bench(self, *arguments, ranks=0, **options):
        """What `bench step` wrote for programs."""
        self.run_well("bench", "step", "run.toml", "--json=step.json", *SHORT, *arguments, ranks=ranks, **options)
        return json.loads((self.folder / "step.json").read_text())

    def refused(self, code, said, *arguments, ranks=(0, 2)):
        for count in ranks:
            with self.subTest(ranks=count):
                result = self.run_program(*arguments, ranks=count)
                self.assertEqual(result.code, code, result.everything)
                self.assertEqual(len(result.err), 1, result.everything)
                for text in said:
                    self.assertIn(text, result.err[0])

    def start(self, *arguments, ranks=0):
        """Its output is read as it comes: without the tags of mpirun, which cut long texts."""
        start = [job.MPIRUN, "-np", str(ranks), "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"] if ranks else []
        variables = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        return subprocess.Popen([*start, job.PROGRAM, *arguments], cwd=self.folder, env=variables, text=True, bufsize=1, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def served(self, requests, ranks=0):
        """What a bench that is served answers, line by line: a request is sent when the one before is answered."""
        bench = self.start("bench", "step", "run.toml", "--serve", *SHORT, ranks=ranks)
        try:
            answers = [json.loads(bench.stdout.readline())]
            for request in requests:
                bench.stdin.write(f"{request}\n")
                answers.append(json.loads(bench.stdout.readline()))
            rest, err = bench.communicate(timeout=60)
            self.assertEqual((rest, bench.returncode), ("", 0), err)
            return answers
        finally:
            bench.kill()
            bench.wait()

    def test_ranks_change_nothing_but_the_time(self):
        alone, together = self.bench(), self.bench(ranks=2)
        self.assertEqual((alone["ranks"], together["ranks"]), (1, 2))
        self.assertEqual(alone["digest"], together["digest"])
        self.assertEqual(alone["global_batch"], job.BATCH)
        for found in (alone, together):
            self.assertGreaterEqual(len(found["blocks"]), 3)
            self.assertGreater(found["samples_per_second"], 0)
            self.assertGreater(found["memory"]["activation_bytes"], 0)
        halves = [sum(entry["operations"] for entry in found["profile"]["entries"]) for found in (alone, together)]
        self.assertAlmostEqual(halves[1] / halves[0], 0.5, delta=0.06)  # rank 0's share of the work: 8 of 16 lanes of 4 samples

    def test_a_declared_shape_needs_no_data_file(self):
        with_file = self.bench()
        self.write_run_file(DECLARED)
        for file in self.folder.glob("*.h5"):
            file.unlink()
        without = self.bench()
        self.assertEqual(without["fields"], ["input [12, 12, 1] u8", "target [] i64"])
        self.assertEqual(without["digest"], with_file["digest"])

    def test_serves_as_many_steps_as_asked_for(self):
        for ranks in (0, 2):
            with self.subTest(ranks=ranks):
                ready, *answers = self.served([3, 1, 20], ranks)
                self.assertIs(ready["ready"], True)
                self.assertEqual(ready["ranks"], max(ranks, 1))
                self.assertEqual([answer["steps"] for answer in answers], [3, 1, 20])
                self.assertTrue(all(answer["seconds"] > 0 for answer in answers))
                self.assertEqual(self.served([], ranks)[0]["digest"], ready["digest"])

    def test_a_request_that_is_no_number_ends_it(self):
        for text in ("some\n", "0\n", "3 4\n", "\n"):
            with self.subTest(text=text):
                result = subprocess.run([job.PROGRAM, "bench", "step", "run.toml", "--serve", *SHORT], cwd=self.folder, input=text, capture_output=True, text=True, check=False)
                self.assertEqual(result.returncode, USAGE)
                self.assertEqual(result.stderr, f'lockstep: bench step: --serve: expected a number of steps from 1 to 1000000, got "{text[:-1]}"\n')

    def test_device_rates(self):
        for ranks in (0, 2):
            with self.subTest(ranks=ranks):
                out, err = self.start("bench", "device", "--json", "--seconds=0.001", *SMALL, ranks=ranks).communicate(timeout=60)
                self.assertEqual(err, "")
                found = json.loads(out)
                self.assertEqual([device["rank"] for device in found["devices"]], list(range(max(ranks, 1))))
                for device in found["devices"]:
                    self.assertEqual(device["copies"][0]["bytes"], 4 << 20)
                    self.assertTrue(all(product["operations_per_second"] > 0 for product in device["products"]))
        text = "\n".join(self.run_well("bench", "device", "--seconds=0.001", *SMALL).out)
        self.assertIn("copy, read + written", text)
        self.assertIn("product f32", text)

    def test_what_a_user_gets_wrong_is_one_line(self):
        bench = ("bench", "step", "run.toml", *SHORT)
        self.refused(USAGE, ('bench: expected what to do, got ""', "known: device, step"), "bench", ranks=(0,))
        self.refused(USAGE, ('bench: expected what to do, got "stpe"',), "bench", "stpe", ranks=(0,))
        self.refused(USAGE, ("bench step: expected a run file or the name of a recipe",), "bench", "step", ranks=(0,))
        self.refused(USAGE, ('bench step: unknown option "--warmup"; did you mean "--warm-up"?',), *bench, "--warmup=3", ranks=(0,))
        self.refused(USAGE, ('bench step: --seconds: expected a number from 0 to 86400, got "soon"',), "bench", "step", "run.toml", "--seconds=soon", ranks=(0,))
        self.refused(USAGE, ('"resnet49": neither a run file nor a shipped recipe',), "bench", "step", "resnet49")
        self.refused(RUN_FILE, ("data.global_batch: expected at least run.lanes (16)", "got 4"), *bench, "data.global_batch=4")
        self.refused(USAGE, ("lanes",), *bench, "run.lanes=1", ranks=(2,))
        self.refused(IO, ("no/train.h5", "with data.input.shape declared no file is needed"), *bench, 'data.train="no/train.h5:/train"')
        self.refused(IO, ('bench step: --json: "no/step.json": no folder "no"',), *bench, "--json=no/step.json")
        self.refused(USAGE, ('bench device: expected run.KEY=VALUE, got "seconds=3"',), "bench", "device", "seconds=3")
        self.refused(USAGE, ('bench device: --copy-size: expected at least 4 KiB, got "3"',), "bench", "device", "--copy-size=3", ranks=(0,))


class BenchOnShimTest(job.ShimTest):
    CUDA = ("run.device=cuda", "run.precision=f32", "run.lanes=8")

    def test_steps_are_recorded_and_ranks_change_nothing(self):
        found = []
        for ranks in (0, 2):
            self.run_on_shim("bench", "step", "run.toml", "--json=step.json", *SHORT, *self.CUDA, ranks=ranks)
            found.append(json.loads((self.folder / "step.json").read_text()))
        self.assertEqual(found[0]["digest"], found[1]["digest"])
        self.assertTrue(all(step["recordings"] == 2 for step in found))
        entries = {entry["op"]: entry for entry in found[0]["profile"]["entries"]}
        for op in ("conv2d.forward", "prepare input", "update"):
            self.assertGreater(entries[op]["bytes"], 0, op)
        self.assertGreater(found[0]["rates"]["to_device"], 0)
        memory = found[0]["memory"]
        self.assertGreater(memory["device_bytes"], memory["activation_bytes"] + memory["parameter_bytes"])

    def test_rates_of_a_gpu(self):
        found = json.loads("\n".join(self.run_on_shim("bench", "device", "--json", "run.device=cuda", "--seconds=0.001", *SMALL).out))
        device = found["devices"][0]
        self.assertGreater(device["to_device"], 0)
        self.assertGreater(device["from_device"], 0)
        self.assertTrue(all(product["operations_per_second"] > 0 for product in device["products"]))


if __name__ == "__main__":
    unittest.main()
