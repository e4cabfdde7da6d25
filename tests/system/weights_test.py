"""Weights from a safetensors file: a run begins with them, `import` makes a checkpoint of them, `export` gives them back."""
import json
import unittest

import job


class WeightsTest(job.SystemTest):
    def setUp(self):
        super().setUp()
        self.train("first", "train.steps=12")
        self.run_well("export", "first", "first.safetensors")

    def test_import_is_the_reverse_of_export(self):
        self.run_well("import", "first.safetensors", "run.toml", "imported.h5")
        self.run_well("export", "imported.h5", "again.safetensors")
        tensors = [(self.folder / f"{name}.safetensors").read_bytes() for name in ("first", "again")]
        bodies = [data[8 + int.from_bytes(data[:8], "little"):] for data in tensors]
        self.assertEqual(*bodies)
        found = [json.loads(self.run_well("evaluate", name, "--data", "test.h5:/train", "--json").out[0])["metrics"] for name in ("first", "imported.h5")]
        self.assertEqual(*found)

    def test_import_says_what_it_misses(self):
        for code, arguments, text in ((64, ("first.safetensors", "run.toml"), "import: expected a safetensors file, a run file and a checkpoint to write, got 2 arguments"),
                                      (65, ("first.safetensors", "run.toml", "out.h5", "model.head.dense=3"), 'different "head.weight": expected [3, 12] f32'),
                                      (74, ("missing.safetensors", "run.toml", "out.h5"), "missing.safetensors")):
            result = self.run_program("import", *arguments)
            self.assertEqual(result.code, code, result.everything)
            self.assertIn(text, result.err[0])
            self.assertFalse((self.folder / "out.h5").exists())

    def test_a_run_begins_with_them_on_any_ranks_and_resumes_without_the_file(self):
        weights = "train.weights=first.safetensors"
        whole = self.train("whole", "train.steps=20", weights).digest()
        self.assertNotEqual(whole, self.train("fresh", "train.steps=20").digest())
        self.train("parts", "train.steps=10", weights, ranks=2)
        (self.folder / "first.safetensors").unlink()
        resumed = self.run_well("resume", "parts", "train.steps=20", ranks=3)
        self.assertEqual(resumed.digest(), whole)

    def test_a_new_head_needs_except(self):
        head = ("train.steps=2", "data.target.classes=5", "model.head.dense=5")
        for ranks in (0, 2):
            result = self.run_program("train", "run.toml", f"run.directory=refused{ranks}", "train.weights=first.safetensors", *head, ranks=ranks)
            self.assertEqual(result.code, 65, result.everything)
            self.assertEqual(len(result.err), 1, result.everything)
            self.assertIn('first.safetensors": does not fit this model: different "head.weight": expected [5, 12] f32, got [4, 12] f32, "head.bias"',
                          result.err[0])
        tuned = self.train("tuned", 'train.weights={ file = "first.safetensors", except = ["head"] }', *head)
        self.assertIn("first.safetensors, except head.weight, head.bias", "\n".join(tuned.out))


if __name__ == "__main__":
    unittest.main()
