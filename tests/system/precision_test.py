"""Precisions and loss scales of whole runs."""
import unittest

import job

RUN_FILE, USAGE = 78, 64
# Raw pixels give gradients far above 4, so that a scale of 2^126 overflows f32 and the first steps are skipped.
LARGE = ("train.loss_scale={ dynamic = 8.507059173023462e37, growth_steps = 6 }", "data.input.scale=none", "train.learning_rate.peak=1e-4",
         'model.layers=["flatten", { dropout = 0.1 }, { dense = 4 }]')


class PrecisionTest(job.SystemTest):
    def column(self, directory, name):
        rows = self.metrics(directory)
        at, event = rows[0].index(name), rows[0].index("event")
        return [row[at] for row in rows[1:] if row[event] == "step"]

    def test_precision_that_the_engine_lacks_is_refused_in_one_line(self):
        for precision in ("f16", "tf32"):
            for ranks in (0, 2):
                with self.subTest(precision=precision, ranks=ranks):
                    result = self.run_program("train", "run.toml", f"run.precision={precision}", ranks=ranks)
                    self.assertEqual(result.code, RUN_FILE, result.everything)
                    self.assertEqual(len(result.err), 1, result.everything)
                    self.assertIn(f'lockstep: run.precision: the cpu engine computes f32 and bf16, got "{precision}"', result.err[0])

    def test_static_loss_scale_of_a_power_of_two_changes_no_bit(self):
        plain = self.train("plain", "train.epochs=2").digest()
        for ranks, scale in ((0, "1024"), (2, "0.25")):
            with self.subTest(scale=scale):
                directory = f"scaled{ranks}"
                self.assertEqual(self.train(directory, "train.epochs=2", f"train.loss_scale={scale}", ranks=ranks).digest(), plain)
                self.assertEqual(set(self.column(directory, "loss_scale")), {scale})
                # A static scale is no state: checkpoints have the members that they had before there were scales.
                self.assertNotIn("loss_scale_streak", "\n".join(self.run_well("inspect", f"{directory}/checkpoints/latest").out))

    def test_dynamic_loss_scale_skips_and_grows_alike_on_any_ranks(self):
        digest = self.train("alone", *LARGE).digest()
        self.assertIn("loss_scale_streak", "\n".join(self.run_well("inspect", "alone/checkpoints/latest").out))
        updated = self.column("alone", "updated")
        self.assertEqual(updated[0], "0")
        self.assertGreater(updated.count("1"), 30)
        self.assertGreater(updated.count("0"), 4)
        scales = [float(scale) for scale in self.column("alone", "loss_scale")]
        self.assertEqual(scales[:2], [2.0**126, 2.0**125])
        self.assertTrue(any(after > before for before, after in zip(scales, scales[1:])))
        for ranks in (2, 3):
            with self.subTest(ranks=ranks):
                self.assertEqual(self.train(f"r{ranks}", *LARGE, ranks=ranks).digest(), digest)
                self.assertEqual(self.metrics(f"r{ranks}"), self.metrics("alone"))

    def test_dynamic_loss_scale_survives_a_stop(self):
        straight = self.train("straight", *LARGE)
        # Among skipped steps, in a streak of good ones, at the last step.
        for stop in (2, 11, 30):
            with self.subTest(stop=stop):
                directory = f"stop{stop}"
                self.train(directory, *LARGE, f"train.steps={stop}")
                resumed = self.run_well("resume", directory, f"train.steps={4 * job.STEPS_PER_EPOCH}", ranks=2)
                self.assertEqual(resumed.digest(), straight.digest())
                self.assertEqual(self.metrics(directory), self.metrics("straight"))

    def test_loss_scale_may_be_changed_where_the_trajectory_may(self):
        self.train("run", *LARGE, "train.steps=15")
        refused = self.run_program("resume", "run", "train.loss_scale=1")
        self.assertEqual(refused.code, USAGE, refused.everything)
        self.assertIn("train.loss_scale", refused.err[0])
        self.run_well("resume", "run", "train.loss_scale=1", "run.precision=bf16", "train.steps=20", "--change-trajectory")
        self.assertEqual(self.column("run", "loss_scale")[15:], ["1"] * 5)
        self.run_well("resume", "run", "train.loss_scale={ dynamic = 64 }", "train.steps=25", "--change-trajectory")
        self.assertEqual(self.column("run", "loss_scale")[20:], ["64"] * 5)

    def test_run_that_smaller_scales_do_not_help_has_diverged(self):
        # Outputs are zeros and the loss is a number, but no scale keeps the gradient of the first layer within f32.
        layers = ('["flatten", { dense = 4, init = "zeros" }, { dense = 4, init = { normal = 1e20 } }, { dense = 4, init = { normal = 1e30 } }]')
        self.diverges(r"step 3: the gradient's norm is \S+ at a loss scale of 0.25, and 3 steps in a row were skipped: the run diverged; .* bf16",
                      "train.loss_scale={ dynamic = 1 }", f"model.layers={layers}")
        self.diverges(r"step 1: the gradient's norm is \S+: the run diverged", "train.loss_scale=8", f"model.layers={layers}")
        self.diverges(r"step \d+: the loss is \S+: the run diverged", "train.loss_scale={ dynamic = 4 }", "train.learning_rate.peak=1e30", "train.clip=none")

    def diverges(self, said, *arguments):
        for ranks in (0, 2):
            with self.subTest(ranks=ranks, said=said):
                result = self.run_program("train", "run.toml", f"run.directory=d{len(list(self.folder.iterdir()))}", *arguments, ranks=ranks)
                self.assertEqual(result.code, 70, result.everything)
                self.assertEqual(len(result.err), 1, result.everything)
                self.assertRegex(result.err[0], said)


if __name__ == "__main__":
    unittest.main()
