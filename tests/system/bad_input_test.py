"""What goes wrong ends in the documented code and one line that says what, on one rank and on two, within seconds."""
import random
import shutil
import signal
import subprocess
import unittest

import job

USAGE, CONTENT, INTERNAL, IO, STOPPED, RUN_FILE = 64, 65, 70, 74, 75, 78


class BadInputTest(job.SystemTest):
    def refused(self, code, said, *arguments, ranks=(0, 2), **options):
        """Every text of `said` is in the one line that the job prints. `arguments` by default train the run file."""
        for count in ranks:
            with self.subTest(ranks=count):
                result = self.run_program(*(arguments or ("train", "run.toml")), ranks=count, **options)
                self.assertEqual(result.code, code, result.everything)
                self.assertEqual(len(result.err), 1, result.everything)
                self.assertRegex(result.err[0], r"^(\[rank \d+\] )?lockstep: (?!rank)")
                for text in said:
                    self.assertIn(text, result.err[0])
                self.assertLess(result.seconds, 20)

    def train_refused(self, code, said, *overrides, **options):
        self.refused(code, said, "train", "run.toml", *overrides, **options)

    # Data

    def test_missing_data_file(self):
        self.train_refused(IO, ("missing.h5", "No such file"), 'data.train="missing.h5:/train"')

    def test_truncated_data_file(self):
        whole = (self.folder / "train.h5").read_bytes()
        (self.folder / "train.h5").write_bytes(whole[:len(whole) // 2])
        self.train_refused(CONTENT, ("train.h5",))

    def test_file_that_is_no_hdf5(self):
        (self.folder / "train.h5").write_text("no data\n" * 1000)
        self.train_refused(CONTENT, ("train.h5",))

    def test_wrong_names_of_group_and_dataset(self):
        self.train_refused(CONTENT, ("train.h5", "nowhere"), 'data.train="train.h5:/nowhere"')
        self.train_refused(CONTENT, ("train.h5", "pictures"), "data.input.dataset=pictures")

    def test_images_for_labels_and_labels_for_images(self):
        self.train_refused(RUN_FILE, ("conv2d", "[1]"), "data.input.dataset=labels")
        self.train_refused(CONTENT, ("train.h5", "images"), "data.target.dataset=images")

    def test_shape_that_the_model_cannot_take(self):
        self.write_run_file(('{ conv2d = 8, size = 3, padding = "same", bias = false }', "{ conv2d = 8, size = 15, padding = \"valid\" }"))
        self.train_refused(RUN_FILE, ("run.toml:", "12"))

    def test_validation_set_of_another_shape(self):
        images = bytes(20 * 10 * 10)
        (self.folder / "odd-images").write_bytes(bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in (20, 10, 10)) + images)
        (self.folder / "odd-labels").write_bytes(bytes((0, 0, 8, 1)) + (20).to_bytes(4, "big") + bytes(20))
        self.run_well("convert", "idx", "odd-images", "odd-labels", "odd.h5")
        self.train_refused(CONTENT, ("validation", "[10, 10, 1]", "[12, 12, 1]"), 'data.validation="odd.h5:/train"')

    def test_label_out_of_range(self):
        self.train_refused(CONTENT, ("train.h5", "labels", "3"), "data.target.classes=3")

    def test_rank_without_the_data(self):
        (self.folder / "start").write_text('#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" = 1 ] && more=\'data.train="missing.h5:/train"\'\nexec "$@" $more\n')
        self.refused(IO, ("[rank 1]", "missing.h5"), "train", "run.toml", ranks=(3,), program=("sh", "start", job.PROGRAM))

    # Run file

    def test_unknown_layer_is_named_with_the_nearest(self):
        self.write_run_file(('"batch_norm", "relu"', '"batch_nrm", "relu"'))
        self.train_refused(RUN_FILE, ("run.toml:22:61:", '"batch_nrm"', '"batch_norm"'))

    def test_unknown_key_is_named_with_place_and_nearest(self):
        self.write_run_file(("epochs        =", "epoch         ="))
        self.train_refused(RUN_FILE, ("run.toml:13:1", '"epoch"', '"epochs"'))
        self.write_run_file(("keep = 100", "kep = 100"))
        self.train_refused(RUN_FILE, ("run.toml:2:34", '"kep"', '"keep"'))

    def test_toml_that_is_none(self):
        self.write_run_file(("epochs        = 4", "epochs        = "))
        self.train_refused(RUN_FILE, ("run.toml:13:",))

    def test_more_ranks_than_lanes(self):
        self.train_refused(USAGE, ("3 ranks", "2 lanes"), "run.lanes=2", ranks=(3,))

    def test_ranks_with_different_run_files(self):
        self.write_run_file(("seed = 7", "seed = 8"))
        (self.folder / "run.toml").rename(self.folder / "run1.toml")
        self.write_run_file()
        (self.folder / "run.toml").rename(self.folder / "run0.toml")
        start = ("sh", "-c", '"$0" train run$OMPI_COMM_WORLD_RANK.toml run.directory=run', job.PROGRAM)
        self.refused(USAGE, ("the ranks differ", "run file", "rank 0", "rank 1"), "train", ranks=(2,), program=start)

    def test_unknown_command(self):
        self.refused(USAGE, ('"trian"', '"train"'), "trian", "run.toml")

    # Runs

    def test_loss_that_is_no_number(self):
        self.train("diverged", "train.steps=12")
        before = self.checkpoints("diverged")[0].read_bytes()
        # The file that a user would edit: without a limit on the gradient's norm and with a silly rate.
        text = (self.folder / "diverged" / "run.toml").read_text()
        self.assertRegex(text, r"peak *= *0\.1")
        for ranks in (0, 2):
            self.refused(INTERNAL, ("diverged", "step "), "resume", "diverged", "train.learning_rate.peak=1e30", "train.clip.global_norm=1e30",
                         "--change-trajectory", "train.steps=1000", ranks=(ranks,))
            status = self.run_program("status", "diverged")
            self.assertEqual(status.code, INTERNAL, status.everything)
            self.assertIn("diverged", status.out[0])
            self.assertEqual(self.checkpoints("diverged")[0].read_bytes(), before)

    def test_damaged_checkpoints(self):
        straight = self.train("straight")
        self.train("run", "train.steps=25")
        newest, middle = self.checkpoints("run")[-1], self.checkpoints("run")[-2]
        self.flip_a_byte(newest)
        copy = shutil.copytree(self.folder / "run", self.folder / "copy")
        for ranks in (0, 2):
            resumed = self.run_well("resume", "run", "train.steps=48", ranks=ranks)
            said = "\n".join(resumed.out)
            self.assertIn(newest.name, said)
            self.assertIn(f"({'run'}/checkpoints/{middle.name})", said)
            self.assertEqual(resumed.digest(), straight.digest())
            shutil.rmtree(self.folder / "run")
            shutil.copytree(copy, self.folder / "run")
        self.refused(CONTENT, (newest.name,), "inspect", "--digest", f"run/checkpoints/{newest.name}", ranks=(0,))
        for path in self.checkpoints("run")[:-1]:
            self.flip_a_byte(path)
        self.refused(CONTENT, [path.name for path in self.checkpoints("run")], "resume", "run")

    def flip_a_byte(self, path):
        content = bytearray(path.read_bytes())
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        path.write_bytes(content)

    def test_directory_that_holds_a_run(self):
        self.train("run", "train.epochs=1")
        digest = self.inspected_digest("run")
        self.train_refused(USAGE, ('"run": holds a run already', "run.if_exists=resume"))
        self.assertEqual(self.inspected_digest("run"), digest)

    def test_resume_without_a_run(self):
        self.refused(USAGE, ('"nowhere" holds no run',), "resume", "nowhere")
        (self.folder / "empty").mkdir()
        self.refused(USAGE, ('"empty" holds no run',), "resume", "empty")
        self.refused(USAGE, ('"empty": holds no run',), "status", "empty", ranks=(0,))

    def test_two_jobs_in_one_directory(self):
        running = job.Job(self.folder, ["train", "run.toml", "train.epochs=4000", "--progress=off"], 0)
        self.until(lambda: self.steps_done("run") > 0, running)
        self.refused(USAGE, ('"run": is in use by process', "wait for it"), "resume", "run")
        self.train_refused(USAGE, ('"run": is in use by process',), "run.if_exists=resume")
        self.assertEqual(self.run_program("status", "run").code, 1)
        running.signal(signal.SIGUSR1)
        self.assertEqual(running.wait().code, STOPPED)

    def test_override_that_alters_the_trajectory(self):
        straight = self.train("straight")
        self.train("run", "train.steps=15")
        self.refused(USAGE, ("train.learning_rate.peak", "--change-trajectory"), "resume", "run", "train.learning_rate.peak=0.2")
        # The schedule depends on the length.
        self.refused(USAGE, ("train.epochs", "--change-trajectory"), "resume", "run", "train.epochs=5")
        other = self.run_well("resume", "run", "train.learning_rate.peak=0.2", "train.steps=48", "--change-trajectory")
        self.assertNotEqual(other.digest(), straight.digest())
        self.assertIn("peak", (self.folder / "run" / "log.txt").read_text())

    def test_repeated_line_with_another_run_file(self):
        straight = self.train("straight")
        self.train("run", "train.steps=15")
        again = ("train", "run.toml", "run.directory=run", "run.if_exists=resume", "train.steps=48")
        self.write_run_file(("peak = 0.1", "peak = 0.2"))
        self.refused(USAGE, ("train.learning_rate.peak", "0.1", "0.2", "--change-trajectory"), *again)
        self.write_run_file(("conv2d = 12", "conv2d = 16"))
        self.refused(USAGE, ("model.layers", "--change-trajectory"), *again)
        self.refused(CONTENT, ("step-00000015.h5", "does not fit this model", "[4, 16]"), *again, "--change-trajectory")
        self.write_run_file(("every_steps = 10", "every_steps = 7"))
        self.assertEqual(self.run_well(*again, ranks=2).digest(), straight.digest())

    def test_disk_that_fills_up(self):
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True, check=False)
        if mounted.returncode:
            self.skipTest("mounting a small file system takes root")
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=False)
        for ranks in (0, 2):
            directory = f"disk/r{ranks}"
            self.refused(IO, ("No space left",), "train", "run.toml", f"run.directory={directory}", "checkpoint.every_steps=1", ranks=(ranks,))
            left = self.checkpoints(directory)
            self.assertGreater(len(left), 1)
            for path in left:
                self.run_well("inspect", "--digest", str(path))
            self.assertEqual(self.run_program("status", directory).code, IO)
            shutil.rmtree(self.folder / directory)


if __name__ == "__main__":
    unittest.main()
