"""`lockstep plan --device`: the plans of a GPU that is not here."""
import json
import pathlib
import unittest

import job

USAGE = 64
LIBRARIES = pathlib.Path(job.PROGRAM).parent.parent / "lib"
SMALL = ("run.lanes=2", "data.global_batch=32", "run.precision=bf16")


class PlanOptionsTest(job.SystemTest):
    def refused(self, text, *arguments):
        result = self.run_program("plan", *arguments)
        self.assertEqual(result.code, USAGE, result.everything)
        self.assertEqual(result.err, ["lockstep: " + text], result.everything)

    def test_options_that_do_not_fit(self):
        self.refused("plan: --build belongs to --device; known: a100, h100, h200", "--build", "run.toml")
        self.refused("plan: --out belongs to --device; known: a100, h100, h200", "--out", "x.json", "run.toml")
        self.refused("plan: --tune is for the GPU at hand, --device for one that need not be here", "--tune", "--device", "h200", "run.toml")
        self.refused('plan: --device: no GPU "h201" is described; nearest: h200, h100', "--device", "h201", "run.toml")

    def test_tuning_without_a_gpu(self):
        if "NVIDIA driver none" in " ".join(" ".join(self.run_well("--version").out).split()):
            self.refused("plan: --tune times engines on the GPU at hand, and no NVIDIA driver is installed", "--tune", "run.toml")
        else:
            self.skipTest("an NVIDIA driver is installed here")


@unittest.skipUnless((LIBRARIES / "liblockstep_cuda.so").exists(), "this build has no CUDA plug-in")
@unittest.skipUnless((LIBRARIES / "lockstep" / "described" / "libcuda.so.1").exists(), "this build has no stand-in for a driver")
class PlanDeviceTest(job.SystemTest):
    def plan(self, *arguments, **options):
        return self.run_well("plan", "--device", *arguments, "run.toml", *SMALL, **options)

    def test_listing_names_engines_and_writes_nothing(self):
        before = set(self.folder.iterdir())
        out = "\n".join(self.plan("h200").out)
        for what in ("cudnn fprop engine", "cudnn dgrad engine", "cudnn wgrad engine", "cublaslt", "own cuda", "collective"):
            self.assertIn(what, out)
        self.assertEqual(set(self.folder.iterdir()), before)

    def test_a_second_build_compiles_nothing_and_another_gpu_is_refused(self):
        first = self.plan("h200", "--build", "--out", "plans.json")
        self.assertRegex(first.out[-1], r"^plans\.json: \d+ engines, ([1-9]\d*) compiled plans \(\1 made now, 0 stored\), ")
        plans = json.loads((self.folder / "plans.json").read_text())
        self.assertEqual((plans["format"], plans["gpu"]), (2, "NVIDIA H200"))
        self.assertNotIn("driver", plans)
        second = self.plan("h200", "--build", "--out", "plans.json")
        self.assertRegex(second.out[-1], r" engines, ([1-9]\d*) compiled plans \(0 made now, \1 stored\), ")
        self.assertFalse([line for line in second.err if line.startswith("cudnn:")], second.everything)
        self.assertEqual(json.loads((self.folder / "plans.json").read_text()), plans)
        other = self.run_program("plan", "--device", "a100", "--build", "--out", "plans.json", "run.toml", *SMALL)
        self.assertEqual(other.code, USAGE, other.everything)
        self.assertRegex(other.err[-1], r'^lockstep: cuda: "plans\.json" holds plans for NVIDIA H200, cudnn [\d.]+: expected NVIDIA A100-SXM4-80GB, cudnn [\d.]+$')

        key = sorted(plans["plans"])[0]
        plans["plans"][key] = plans["plans"][key][:400]
        (self.folder / "plans.json").write_text(json.dumps(plans))
        damaged = self.plan("h200", "--build", "--out", "plans.json")
        self.assertRegex(damaged.err[-1], r"^cudnn: 1 of \d+ stored plans were refused and built anew: .+")
        self.assertRegex(damaged.out[-1], r"\(1 made now, \d+ stored\)")


if __name__ == "__main__":
    unittest.main()
