"""A trained run is used: evaluate, predict and export give the same on any number of ranks."""
import json
import unittest

import job


class EvaluateTest(job.SystemTest):
    def setUp(self):
        super().setUp()
        self.train("run", ranks=2)

    def test_evaluate_says_what_the_run_said(self):
        rows = self.metrics("run")
        expected = {name.removeprefix("validation."): float(rows[-1][i]) for i, name in enumerate(rows[0]) if name.startswith("validation.")}
        texts = set()
        for ranks in (0, 1, 2, 3):
            with self.subTest(ranks=ranks):
                result = self.run_well("evaluate", "run", "--data", "test.h5:/train", "--json", ranks=ranks)
                found = json.loads(result.out[0])
                self.assertEqual(found["metrics"], expected)
                self.assertEqual(found["samples"], job.TEST_SAMPLES)
                texts.add(result.out[0])
        self.assertEqual(len(texts), 1)

    def test_predictions_are_the_same_bytes_on_any_ranks(self):
        files = set()
        for ranks in (0, 2, 3):
            name = f"p{ranks}.h5"
            self.run_well("predict", "run", "--data", "test.h5:/train", "--out", name, ranks=ranks)
            shown = json.loads("\n".join(self.run_well("inspect", name, "--json", "--values").out))
            shapes = {item["path"]: item["shape"] for item in shown["objects"] if "shape" in item}
            self.assertEqual(shapes, {"/classes": [job.TEST_SAMPLES], "/predictions": [job.TEST_SAMPLES, 4]})
            files.add((self.folder / name).read_bytes())
        self.assertEqual(len(files), 1)

    def test_evaluate_of_another_run_or_data_is_refused_in_one_line(self):
        for ranks in (0, 2):
            for code, arguments in ((74, ("run", "--data", "missing.h5")), (64, ("nowhere", "--data", "test.h5:/train")), (64, ("run",))):
                with self.subTest(ranks=ranks, arguments=arguments):
                    result = self.run_program("evaluate", *arguments, ranks=ranks)
                    self.assertEqual(result.code, code, result.everything)
                    self.assertEqual(len(result.err), 1, result.everything)

    def test_export_is_the_same_for_runs_on_any_ranks(self):
        self.train("alone")
        for run in ("run", "alone"):
            self.run_well("export", run, f"{run}.safetensors")
        exported = [(self.folder / f"{run}.safetensors").read_bytes() for run in ("run", "alone")]
        self.assertGreater(len(exported[0]), 4 * 1000)
        self.assertEqual(*exported)


if __name__ == "__main__":
    unittest.main()
