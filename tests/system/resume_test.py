"""A run that was killed or stopped goes on to the very bits of one that was left alone."""
import os
import random
import signal
import time
import unittest

import job

# Enough steps that a signal finds the run on its way; 1cycle is in its middle for most of them.
LONG = ("train.epochs=12", "checkpoint.every_steps=7")
TOTAL = 12 * job.STEPS_PER_EPOCH


class ResumeTest(job.SystemTest):
    def status(self, directory, code):
        return self.run_well("status", directory, code=code).out[0]

    def kill_at_a_random_step(self, directory, *arguments, ranks):
        """kill -9 after the first checkpoint; the step is new on each run of the test and named by a failure."""
        running = job.Job(self.folder, ["train", "run.toml", f"run.directory={directory}", *arguments], ranks)
        step = random.randrange(8, TOTAL * 2 // 3)
        self.until(lambda: self.steps_done(directory) >= step and self.checkpoints(directory), running)
        running.kill()
        return step

    def check_kill(self, *arguments, first=2, then=3):
        straight = self.train("straight", *arguments)
        step = self.kill_at_a_random_step("killed", *arguments, ranks=first)
        with self.subTest(killed_after_step=step):
            self.assertIn("start again: killed", self.status("killed", 75))
            resumed = self.run_well("resume", "killed", ranks=then)
            self.assertEqual(resumed.digest(), straight.digest())
            self.assertEqual(self.metrics("killed"), self.metrics("straight"))
            self.assertIn("done", self.status("killed", 0))

    def test_kill_in_one_cycle_and_resume_on_more_ranks(self):
        self.check_kill(*LONG, first=2, then=3)

    def test_kill_and_resume_without_mpirun(self):
        self.check_kill(*LONG, first=0, then=0)

    def test_kill_in_bf16_and_resume_on_one_rank(self):
        self.check_kill(*LONG, "run.precision=bf16", first=4, then=0)

    def use_plateau(self):
        self.write_run_file(('schedule      = { one_cycle = 0.3, divide = 25, momentum = [0.95, 0.85] }',
                             'schedule      = { plateau = "validation.loss", factor = 0.5, patience = 1, cooldown = 1 }\n'
                             'early_stopping = { monitor = "validation.loss", patience = 5, min_delta = 0.002 }'),
                            ("peak = 0.1", "peak = 0.4"))

    def test_kill_under_plateau_and_early_stopping(self):
        self.use_plateau()
        self.check_kill(*LONG, first=3, then=2)
        rates = [row[4] for row in self.metrics("straight")[1:] if row[2] == "step"]
        self.assertGreater(len(set(rates)), 1, "the plateau never came")

    def test_stopped_in_every_epoch_of_a_plateau(self):
        self.use_plateau()
        straight = self.train("straight", *LONG)
        self.train("parts", *LONG, "train.steps=5")
        last = int(self.metrics("straight")[-1][0])
        for ranks, steps in enumerate(range(18, last + 13, 13)):
            resumed = self.run_well("resume", "parts", f"train.steps={steps}", ranks=ranks % 3)
        self.assertEqual(resumed.digest(), straight.digest())
        self.assertEqual(self.metrics("parts"), self.metrics("straight"))

    def test_killed_twice_and_started_by_the_same_line(self):
        straight = self.train("straight", *LONG)
        line = ["train", "run.toml", "run.directory=again", "run.if_exists=resume", *LONG]
        for ranks in (3, 2):
            running = job.Job(self.folder, line, ranks)
            before = len(self.checkpoints("again"))
            self.until(lambda: len(self.checkpoints("again")) > before + 1, running)
            running.kill()
        self.assertEqual(self.run_well(*line, ranks=2).digest(), straight.digest())
        self.assertEqual(self.metrics("again"), self.metrics("straight"))
        # Once more: it is done, and stays so.
        self.assertEqual(self.run_well(*line).digest(), straight.digest())

    def test_killed_before_the_first_checkpoint_starts_anew(self):
        arguments = ("train.epochs=8", "checkpoint.every_steps=50")
        straight = self.train("straight", *arguments)
        running = job.Job(self.folder, ["train", "run.toml", "run.directory=early", *arguments], 2)
        self.until(lambda: self.steps_done("early") >= 2, running)
        running.kill()
        if not self.checkpoints("early"):
            self.assertIn("no checkpoint yet", self.status("early", 75))
        self.assertEqual(self.run_well("resume", "early", ranks=1).digest(), straight.digest())
        self.assertEqual(self.metrics("early"), self.metrics("straight"))

    def test_steps_stop_with_0_and_resume_completes(self):
        straight = self.train("straight")
        part = self.train("part", "train.steps=17", ranks=2)
        self.assertTrue(part.out[-1].startswith("go on with: lockstep resume"), part.out)
        self.assertEqual(part.digest(), self.inspected_digest("part"))
        self.assertEqual(self.steps_done("part"), 17)
        self.status("part", 75)
        self.run_well("resume", "part", "train.steps=29", ranks=3)
        self.assertEqual(self.steps_done("part"), 29)
        whole = self.run_well("resume", "part", f"train.steps={4 * job.STEPS_PER_EPOCH}", "run.threads=2", ranks=2)
        self.assertEqual(whole.digest(), straight.digest())
        self.assertEqual(self.metrics("part"), self.metrics("straight"))

    def test_max_time_stops_with_75(self):
        straight = self.train("straight", *LONG)
        self.run_well("train", "run.toml", "run.directory=timed", *LONG, "train.max_time=0.05", ranks=2, code=75)
        self.assertLess(self.steps_done("timed"), TOTAL)
        self.status("timed", 75)
        result = self.run_well("resume", "timed", "train.max_time=1h", ranks=1)
        self.assertEqual(result.digest(), straight.digest())

    def check_signal(self, number, *, ranks):
        straight = self.train("straight", *LONG)
        running = job.Job(self.folder, ["train", "run.toml", "run.directory=stopped", *LONG], ranks)
        self.until(lambda: self.steps_done("stopped") >= 10, running)
        running.signal(number)
        self.assertEqual(running.wait().code, 75)
        self.assertIn("stopped at", self.status("stopped", 75))
        done = self.steps_done("stopped")
        self.assertLess(done, TOTAL)
        self.assertEqual(self.checkpoints("stopped")[-1].name, f"step-{done:08}.h5", "the state of the last step is saved")
        self.assertEqual(self.run_well("resume", "stopped", ranks=3 - ranks).digest(), straight.digest())

    def test_sigusr1_saves_and_ends_with_75(self):
        self.check_signal(signal.SIGUSR1, ranks=2)

    def test_sigusr2_saves_and_ends_with_75(self):
        self.check_signal(signal.SIGUSR2, ranks=2)

    def test_sigterm_alone_saves_and_ends_with_75(self):
        self.check_signal(signal.SIGTERM, ranks=0)

    def test_sigint_alone_saves_and_ends_with_75(self):
        self.check_signal(signal.SIGINT, ranks=0)

    def test_sigterm_to_mpirun_saves_the_state(self):
        # mpirun ends with a code of its own, takes its time to pass the signal on, and kills a second later unless it is told to wait.
        # It reads no output meanwhile.
        line = ("train", "run.toml", "train.epochs=4000", "checkpoint.every_steps=1000", "--progress=off")
        running = job.Job(self.folder, [*line, "run.directory=stopped"], 2, ("--mca", "odls_base_sigkill_timeout", "3"))
        self.until(lambda: self.steps_done("stopped") >= 10, running)
        running.signal(signal.SIGTERM)
        self.assertNotEqual(running.wait().code, 0)
        self.assertIn("stopped at", self.status("stopped", 75))
        done = self.steps_done("stopped")
        self.assertEqual(self.checkpoints("stopped")[-1].name, f"step-{done:08}.h5")
        resumed = self.run_well("resume", "stopped", f"train.steps={done + 20}")
        self.run_well(*line, "run.directory=straight", f"train.steps={done + 20}")
        self.assertEqual(self.metrics("stopped"), self.metrics("straight"))
        self.assertEqual(resumed.digest(), self.inspected_digest("straight"))

    def test_mpirun_that_dies_takes_the_ranks_along(self):
        line = ("train", "run.toml", "train.epochs=4000", "checkpoint.every_steps=10", "--progress=off")
        running = job.Job(self.folder, [*line, "run.directory=orphan"], 2)
        self.until(lambda: self.steps_done("orphan") >= 15, running)
        running.signal(signal.SIGKILL)
        self.assertEqual(running.wait().code, -signal.SIGKILL)
        # Ranks without mpirun end by themselves and leave the lock.
        end = time.monotonic() + 20
        while self.run_program("status", "orphan").code == 1:
            self.assertLess(time.monotonic(), end, "the ranks outlive mpirun")
        self.assertIn("start again: killed", self.status("orphan", 75))
        steps = f"train.steps={self.steps_done('orphan') + 20}"
        resumed = self.run_well("resume", "orphan", steps, ranks=3)
        self.assertEqual(resumed.digest(), self.train("straight", *line[2:4], steps).digest())

    def test_more_epochs_after_the_end(self):
        self.write_run_file(('schedule      = { one_cycle = 0.3, divide = 25, momentum = [0.95, 0.85] }', 'schedule      = "constant"'))
        straight = self.train("straight", "train.epochs=5")
        self.train("longer", "train.epochs=2", ranks=2)
        resumed = self.run_well("resume", "longer", "train.epochs=5", ranks=3)
        self.assertEqual(resumed.digest(), straight.digest())
        self.assertEqual(self.metrics("longer"), self.metrics("straight"))

    def test_one_rank_that_dies_takes_the_job_along(self):
        straight = self.train("straight", *LONG)
        # Rank 1 leaves its process id behind, then becomes the program.
        start = ("sh", "-c", 'echo $$ > pid.$OMPI_COMM_WORLD_RANK; exec "$0" "$@"', job.PROGRAM)
        running = job.Job(self.folder, ["train", "run.toml", "run.directory=died", *LONG], 3, program=start)
        self.until(lambda: self.steps_done("died") >= 15, running)
        os.kill(int((self.folder / "pid.1").read_text()), signal.SIGKILL)
        self.assertNotEqual(running.wait(30).code, 0)
        self.status("died", 75)
        self.assertEqual(self.run_well("resume", "died", ranks=2).digest(), straight.digest())


if __name__ == "__main__":
    unittest.main()
