"""Whole runs with run.device = "cuda" where no GPU is: the CUDA backend runs over the shim, convolutions and matrix products are the CPU's."""
import re
import unittest

import job

SHORT = ("run.device=cuda", "run.precision=f32", "train.steps=14", "run.lanes=8")  # more than an epoch


class GpuShimTest(job.ShimTest):
    def train_on_shim(self, directory, *arguments, **options):
        return self.run_on_shim("train", "run.toml", f"run.directory={directory}", *SHORT, *arguments, **options)

    def test_any_ranks_give_the_same_bits(self):
        alone = self.train_on_shim("alone")
        for ranks in (2, 3):
            with self.subTest(ranks=ranks):
                together = self.train_on_shim(f"r{ranks}", ranks=ranks)
                self.assertEqual(together.digest(), alone.digest())
                self.assertTrue(any("staged through the host: slow" in line for line in together.out), together.everything)

    def test_stopped_and_resumed_on_more_ranks(self):
        straight = self.train_on_shim("straight", "train.steps=20")
        self.train_on_shim("stopped", "train.steps=10")
        resumed = self.run_on_shim("resume", "stopped", "train.steps=20", ranks=2)
        self.assertEqual(resumed.digest(), straight.digest())

    def test_the_cpu_trains_alike(self):
        def losses(directory):
            rows = self.metrics(directory)
            return [float(row[rows[0].index("train.loss")]) for row in rows[1:] if row[rows[0].index("train.loss")]]

        self.train_on_shim("cuda")
        self.train("cpu", "run.device=cpu", *SHORT[1:])
        cuda, cpu = losses("cuda"), losses("cpu")
        self.assertEqual(len(cuda), len(cpu))
        for a, b in zip(cuda, cpu):
            self.assertAlmostEqual(a, b, delta=1e-3)

    def test_a_checkpoint_of_the_cpu_goes_on_here(self):
        self.train("run", "run.device=cpu", *SHORT[1:], "train.steps=10")
        result = self.run_on_shim("resume", "run", "train.steps=12", "run.device=cuda")
        self.assertTrue(any("equal to rounding, not in bits" in line for line in result.out), result.everything)

    def test_evaluate_gives_the_cpus_numbers(self):
        def numbers(line):
            return [float(number) for number in re.findall(r"[0-9][0-9.]*", line)]

        self.train("run", "run.device=cpu", *SHORT[1:])
        cpu = self.run_well("evaluate", "run", "--data", "test.h5:/train").out[-1]
        self.train_on_shim("cuda")
        shim = self.run_on_shim("evaluate", "cuda", "--data", "test.h5:/train").out[-1]
        self.assertEqual(numbers(shim)[:2], numbers(cpu)[:2])
        for a, b in zip(numbers(shim), numbers(cpu)):
            self.assertAlmostEqual(a, b, delta=0.006)

    def test_bf16_is_the_default_and_f16_has_a_dynamic_scale(self):
        result = self.run_on_shim("train", "run.toml", "run.directory=auto", "run.device=cuda", "run.precision=auto", "train.steps=3", "run.lanes=8")
        self.assertTrue(any(line.endswith("bf16") for line in result.out), result.everything)
        self.train_on_shim("half", "run.precision=f16", "train.steps=6")

    def test_a_gpu_that_falls_off_ends_every_rank(self):
        result = self.train_on_shim("lost", ranks=2, code=74, machine={"LOCKSTEP_SHIM_FAIL": "cudaGraphLaunch:40"})
        self.assertLess(result.seconds, 30)
        lines = [line for line in result.err if "lockstep: " in line]
        self.assertTrue(lines and all("lockstep: cuda: cudaGraphLaunch: " in line for line in lines), result.everything)

    def test_too_little_memory_names_the_bytes(self):
        result = self.train_on_shim("small", code=64, machine={"LOCKSTEP_SHIM_MEMORY": "300000"})
        self.assertRegex(result.err[-1], re.compile(r"lockstep: cuda: .*bytes|lockstep: .*(KiB|MiB).*free"))

    def test_two_ranks_on_one_gpu_are_named_before_nccl_starts(self):
        result = self.train_on_shim("clash", "run.collectives=nccl", ranks=2, code=64)
        self.assertIn("ranks 0-1 share", result.err[-1])

    def test_plan_names_the_kernels(self):
        out = "\n".join(self.run_on_shim("plan", "run.toml", "run.device=cuda", "run.lanes=8").out)
        self.assertIn("own cuda", out)


if __name__ == "__main__":
    unittest.main()
