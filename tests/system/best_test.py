"""The best weights are those that were evaluated, whenever checkpoints are written."""
import json
import unittest

import job

STOPPING = ('clip          = ', 'early_stopping = { monitor = "validation.loss", patience = 2 }\nclip          = ')
RATE = ('schedule      = { one_cycle = 0.3, divide = 25, momentum = [0.95, 0.85] }', 'schedule      = "constant"')


class BestTest(job.SystemTest):
    def losses(self, directory):
        rows = self.metrics(directory)
        column = rows[0].index("validation.loss")
        return [float(row[column]) for row in rows[1:] if row[2] == "epoch" and row[column]]

    def evaluated(self, checkpoint):
        return json.loads(self.run_well("evaluate", checkpoint, "--data", "test.h5:/train", "--json").out[0])["metrics"]["loss"]

    def test_best_checkpoint_has_the_best_weights(self):
        self.write_run_file(RATE, ("peak = 0.1", "peak = 0.6"), ("keep = 100", 'keep = 2, best = "validation.loss"'))
        for every in ("every_steps=5", "every_steps=12", "every_epochs=1"):
            with self.subTest(every=every):
                directory = every.replace("=", "")
                self.train(directory, "checkpoint.every_steps=0", f"checkpoint.{every}", "train.epochs=6", ranks=2)
                self.assertEqual(self.evaluated(f"{directory}/checkpoints/best"), min(self.losses(directory)))

    def test_early_stopping_puts_the_best_weights_back(self):
        self.write_run_file(RATE, STOPPING, ("peak = 0.1", "peak = 0.6"))
        stopped = self.train("run", "train.epochs=40", ranks=2)
        losses = self.losses("run")
        self.assertLess(len(losses), 40)
        self.assertGreater(losses[-1], min(losses))
        self.assertEqual(self.evaluated("run/checkpoints/latest"), min(losses))
        self.assertEqual(self.run_program("status", "run").code, 0)
        # Stopped on the way and resumed on other ranks, it ends in the same bits and at the same step.
        first = self.train("part", "train.epochs=40", f"train.steps={job.STEPS_PER_EPOCH * (len(losses) - 1) + 5}", ranks=3)
        self.assertNotEqual(first.digest(), stopped.digest())
        again = self.run_well("resume", "part", "train.steps=480")
        self.assertEqual(again.digest(), stopped.digest())
        self.assertEqual(self.metrics("part"), self.metrics("run"))
        # It has ended: a line that is repeated trains no more.
        self.assertEqual(self.run_well("resume", "run").digest(), stopped.digest())
        self.assertEqual(self.losses("run"), losses)
        # Nor does one that was killed after its last checkpoint, and before it said that it is done.
        state = self.folder / "run" / "state.json"
        state.write_text(state.read_text().replace('"done"', '"running"'))
        self.assertEqual(self.run_program("status", "run").code, 75)
        self.assertEqual(self.run_well("resume", "run", ranks=2).digest(), stopped.digest())
        self.assertEqual(self.metrics("part"), self.metrics("run"))

    def test_epochs_without_evaluation_do_not_count(self):
        self.write_run_file(RATE, STOPPING)
        self.train("run", "evaluate.every_epochs=2", "train.epochs=4", ranks=2)
        self.assertEqual(len(self.losses("run")), 2)


if __name__ == "__main__":
    unittest.main()
