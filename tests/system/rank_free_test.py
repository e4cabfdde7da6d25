"""The rank count changes the time, and nothing else: digests and metrics of whole runs."""
import unittest

import job


class RankFreeTest(job.SystemTest):
    def check_precision(self, precision):
        alone = self.train("alone", f"run.precision={precision}")
        self.assertEqual(alone.digest(), self.inspected_digest("alone"))
        metrics = self.metrics("alone")
        self.assertEqual(len(metrics), 1 + 4 * (job.STEPS_PER_EPOCH + 1))
        for ranks, threads in ((0, 2), (1, 1), (2, 1), (3, 1), (4, 1), (8, 1), (2, 2), (3, 2)):
            with self.subTest(ranks=ranks, threads=threads):
                directory = f"r{ranks}t{threads}"
                result = self.train(directory, f"run.precision={precision}", f"run.threads={threads}", ranks=ranks)
                self.assertEqual(result.digest(), alone.digest())
                self.assertEqual(self.inspected_digest(directory), alone.digest())
                self.assertEqual(self.metrics(directory), metrics)

    def test_f32_gives_the_same_bits_on_any_ranks_and_threads(self):
        self.check_precision("f32")

    def test_bf16_gives_the_same_bits_on_any_ranks_and_threads(self):
        self.check_precision("bf16")

    def test_seed_and_precision_do_change_the_digest(self):
        digests = {self.train(f"d{i}", "train.epochs=1", *more).digest() for i, more in enumerate(((), ("run.seed=8",), ("run.precision=bf16",)))}
        self.assertEqual(len(digests), 3)

    def test_fast_mode_agrees_to_rounding(self):
        exact = self.last_losses("exact", 0, "run.mode=exact")
        for ranks in (0, 2, 3):
            with self.subTest(ranks=ranks):
                for name, value in self.last_losses(f"fast{ranks}", ranks, "run.mode=fast").items():
                    self.assertAlmostEqual(value, exact[name], delta=1e-3, msg=name)

    def last_losses(self, directory, ranks, *arguments):
        self.train(directory, "train.epochs=2", *arguments, ranks=ranks)
        rows = self.metrics(directory)
        return {name: float(rows[-1][rows[0].index(name)]) for name in ("train.loss", "validation.loss")}

    def test_the_network_learns(self):
        self.train("run", ranks=2)
        rows = self.metrics("run")
        accuracy = [float(row[rows[0].index("validation.accuracy")]) for row in rows if row[2] == "epoch"]
        self.assertGreater(accuracy[-1], 0.9)


if __name__ == "__main__":
    unittest.main()
