"""What happens on machines without a GPU: the CPU serves, and who asks for a GPU all the same is told in one line."""
import pathlib
import shutil
import subprocess
import unittest

import job

USAGE = 64


def has_driver():
    version = subprocess.run([job.PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    return not any(line.split() == ["NVIDIA", "driver", "none"] for line in version.splitlines())


@unittest.skipIf(has_driver(), "an NVIDIA driver is installed here")
class NoDeviceTest(job.SystemTest):
    def refused(self, *arguments, ranks=0):
        result = self.run_program(*arguments, ranks=ranks)
        self.assertEqual(result.code, USAGE, result.everything)
        self.assertEqual(len(result.err), 1, result.everything)
        self.assertIn('lockstep: no cuda device: no NVIDIA driver is installed; set run.device to "cpu" or "auto"', result.err[0])
        self.assertLess(result.seconds, 20)

    def test_training_on_a_gpu_that_is_not_there(self):
        for ranks in (0, 2):
            with self.subTest(ranks=ranks):
                self.refused("train", "run.toml", "run.device=cuda", ranks=ranks)

    def test_plan_for_a_gpu_that_is_not_there(self):
        self.refused("plan", "run.toml", "run.device=cuda")

    def test_auto_is_the_cpu(self):
        self.assertEqual(self.run_well("plan", "run.toml", "run.device=auto").out, self.run_well("plan", "run.toml", "run.device=cpu").out)

    def test_unknown_device(self):
        result = self.run_program("plan", "run.toml", "run.device=gpu")
        self.assertEqual(result.code, 78, result.everything)
        self.assertIn('"device"', result.err[0])


PLUG_IN = pathlib.Path(job.PROGRAM).parent.parent / "lib" / "liblockstep_cuda.so"


@unittest.skipUnless(PLUG_IN.exists(), "this build has no CUDA plug-in")
@unittest.skipUnless(shutil.which("cc"), "no C compiler")
class OldDriverTest(job.SystemTest):
    """A stand-in for a driver that knows its version and nothing else: the plug-in is opened for real."""

    def setUp(self):
        super().setUp()
        (self.folder / "driver.c").write_text("int cuDriverGetVersion(int* version) { *version = 12020; return 0; }\n")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", "libcuda.so.1", "driver.c"], cwd=self.folder, check=True)
        self.environment = {"LD_LIBRARY_PATH": str(self.folder)}

    def test_a_driver_that_is_too_old_is_named(self):
        result = self.run_program("plan", "run.toml", "run.device=cuda", environment=self.environment)
        self.assertEqual(result.code, USAGE, result.everything)
        self.assertRegex(result.err[0], r"no cuda device: the driver is too old: expected one for CUDA \d+\.\d+, got one for CUDA 12\.2$")
        self.assertEqual(len(result.err), 1, result.everything)

    def test_auto_says_why_it_takes_the_cpu(self):
        result = self.run_well("train", "run.toml", "train.steps=1", environment=self.environment)
        self.assertRegex("\n".join(result.out + result.err), r"device: cpu, since no cuda device: the driver is too old")


if __name__ == "__main__":
    unittest.main()
