"""What the tests of the whole program share: a small data set, run files, and jobs on one or several ranks."""
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest

# CMake sets both; by hand the tests take the program of the folder `build`.
PROGRAM = os.environ.get("LOCKSTEP_PROGRAM", str(pathlib.Path(__file__).resolve().parents[2] / "build" / "bin" / "lockstep"))
SHIM = os.environ.get("LOCKSTEP_SHIM", "")  # the program of a build whose CUDA backend runs over the shim
MPIRUN = os.environ.get("LOCKSTEP_MPIRUN", "mpirun")
TRAIN_SAMPLES, TEST_SAMPLES, BATCH = 590, 200, 50  # the last batch of an epoch and the last lanes of a batch are short
STEPS_PER_EPOCH = -(-TRAIN_SAMPLES // BATCH)

RUN_FILE = """\
run        = { directory = "run", seed = 7, mode = "exact", lanes = 16, precision = "f32" }
checkpoint = { every_steps = 10, keep = 100 }

[data]
train        = "train.h5:/train"
validation   = "test.h5:/train"
input        = { dataset = "images", layout = "NHWC", scale = "standardize" }
target       = { dataset = "labels", classes = 4 }
augment      = ["flip_horizontal", { shift = 1 }]
global_batch = 50

[train]
epochs        = 4
loss          = { cross_entropy = "target", label_smoothing = 0.1 }
optimizer     = { sgd = "nesterov", weight_decay = 5e-4, except = ["norm", "bias"] }
learning_rate = { peak = 0.1, at_batch = 50 }
schedule      = { one_cycle = 0.3, divide = 25, momentum = [0.95, 0.85] }
clip          = { global_norm = 5.0 }

[model]
layers = [
  { conv2d = 8, size = 3, padding = "same", bias = false }, "batch_norm", "relu",
  { residual = [ { conv2d = 12, size = 3, stride = 2, padding = "same", bias = false }, "batch_norm" ], shortcut = "project" },
  "relu", "global_average_pool", { dropout = 0.1 }, { dense = 4, name = "head" },
]
"""


def _image(kind, draw):
    """12x12: a class is a pattern that flips and shifts leave alone, under noise."""
    lit = (lambda y, x: y % 4 < 2, lambda y, x: x % 4 < 2, lambda y, x: (y // 2 + x // 2) % 2, lambda y, x: 3 < y < 8 and 3 < x < 8)[kind]
    return bytes(draw.randrange(120) + (100 if lit(y, x) else 0) for y in range(12) for x in range(12))


def write_idx(folder, name, samples, seed, classes=4):
    draw = random.Random(seed)
    labels = bytes(draw.randrange(classes) for _ in range(samples))
    images = b"".join(_image(label % 4, draw) for label in labels)
    (folder / f"{name}-images").write_bytes(struct.pack(">IIII", 0x803, samples, 12, 12) + images)
    (folder / f"{name}-labels").write_bytes(struct.pack(">II", 0x801, samples) + labels)


class Result:
    """How a job ended: `out` and `err` are lines of the ranks alone, without what Open MPI says."""

    def __init__(self, code, out, err, seconds, tagged):
        self.code, self.seconds, self.everything = code, seconds, out + err
        self.out = _lines_of_ranks(out, "stdout") if tagged else out.splitlines()
        self.err = _lines_of_ranks(err, "stderr") if tagged else err.splitlines()

    def digest(self):
        return next(line.split()[-1] for line in self.out if line.startswith("state digest: "))


def _lines_of_ranks(text, stream):
    """mpirun --tag-output marks what the ranks print; the rest is its own."""
    mark = re.compile(r"\[\d+,\d+\]<%s>:" % stream)
    return [mark.sub("", line, count=1) for line in text.splitlines() if mark.match(line)]


def _processes_of_session(session):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if not entry.name.isdigit():
                continue
            state, _, _, of = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:4]
            if int(of) == session and state != "Z":
                found.append(int(entry.name))
        except OSError:
            pass  # ended meanwhile
    return found


class Job:
    """The program, started in a session of its own; `ranks` 0 is a plain process without mpirun. `launcher` is a whole command line in the place of
    Open MPI's mpirun, which marks nothing."""

    def __init__(self, folder, arguments, ranks=0, mpirun=(), program=(PROGRAM,), environment=None, launcher=()):
        if ranks and not shutil.which(MPIRUN):
            raise unittest.SkipTest("this build has no mpirun")
        start = [MPIRUN, "-np", str(ranks), "--oversubscribe", "--bind-to", "none", "--tag-output", "--mca", "mpi_yield_when_idle", "1",
                 *mpirun] if ranks else list(launcher)
        self.tagged, self.start = bool(ranks), time.monotonic()
        variables = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", **(environment or {})}
        self.files = [tempfile.TemporaryFile("w+", errors="replace") for _ in range(2)]
        self.process = subprocess.Popen([*start, *program, *arguments], cwd=folder, env=variables, stdin=subprocess.DEVNULL,
                                        stdout=self.files[0], stderr=self.files[1], start_new_session=True)

    def wait(self, seconds=90):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._kill_session()
            raise AssertionError(f"still running after {seconds} s: {self.process.args}\n{''.join(self._texts())}") from None
        return Result(code, *self._texts(), time.monotonic() - self.start, self.tagged)

    def _texts(self):
        texts = []
        for file in self.files:
            file.seek(0)
            texts.append(file.read())
            file.close()
        return texts

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """kill -9 of mpirun and all ranks, as a power cut would have it."""
        self._kill_session()
        for file in self.files:
            file.close()

    def _kill_session(self):
        for process in _processes_of_session(self.process.pid):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        # Ranks end when the system comes to it, and hold the run's lock until then.
        until = time.monotonic() + 60
        while _processes_of_session(self.process.pid) and time.monotonic() < until:
            time.sleep(0.01)


class SystemTest(unittest.TestCase):
    """Each test has a folder with data files and a run file."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lockstep-system-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        for name, samples, seed in (("train", TRAIN_SAMPLES, 1), ("test", TEST_SAMPLES, 2)):
            self.convert(name, samples, seed)
        self.write_run_file()

    def convert(self, name, samples, seed, classes=4):
        write_idx(self.folder, name, samples, seed, classes)
        self.run_well("convert", "idx", f"{name}-images", f"{name}-labels", f"{name}.h5")

    def write_run_file(self, *changes):
        """`changes` are pairs of old and new text."""
        text = RUN_FILE
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        (self.folder / "run.toml").write_text(text)

    def run_program(self, *arguments, ranks=0, **options):
        return Job(self.folder, arguments, ranks, **options).wait()

    def run_well(self, *arguments, code=0, **options):
        result = self.run_program(*arguments, **options)
        self.assertEqual(result.code, code, f"{arguments}: {result.everything}")
        return result

    def train(self, directory, *arguments, **options):
        """A whole run; its result."""
        return self.run_well("train", "run.toml", f"run.directory={directory}", *arguments, **options)

    def inspected_digest(self, directory):
        return self.run_well("inspect", "--digest", f"{directory}/checkpoints/latest").out[0]

    def metrics(self, directory):
        """metrics.csv but for the columns of wall time."""
        rows = [line.split(",") for line in (self.folder / directory / "metrics.csv").read_text().splitlines()]
        kept = [i for i, name in enumerate(rows[0]) if not name.endswith("seconds")]
        return [[row[i] for i in kept] for row in rows]

    def steps_done(self, directory):
        """Rows in metrics.csv of a run that may be going on."""
        path = self.folder / directory / "metrics.csv"
        return path.read_text().count(",step,") if path.exists() else 0

    def checkpoints(self, directory):
        return sorted((self.folder / directory / "checkpoints").glob("step-*.h5"))

    def until(self, condition, job, seconds=60):
        """Waits for what a running job is about to do."""
        end = time.monotonic() + seconds
        while not condition():
            if job.process.poll() is not None:
                self.fail(f"the job ended too soon: {job.wait().everything}")
            self.assertLess(time.monotonic(), end, "the job does not get there")
            time.sleep(0.002)


@unittest.skipUnless(SHIM, "this build has no CUDA headers, so there is no shim")
class ShimTest(SystemTest):
    """The same with a GPU that is a shim on the host."""

    def run_on_shim(self, *arguments, ranks=0, machine=None, **options):
        environment = {"LD_LIBRARY_PATH": f"{SHIM}/driver:" + os.environ.get("LD_LIBRARY_PATH", ""), "LOCKSTEP_CUDA_LIBRARIES": "/nowhere", **(machine or {})}
        mpirun = [part for name in environment for part in ("-x", name)] if ranks else []
        return self.run_well(*arguments, ranks=ranks, mpirun=mpirun, program=(f"{SHIM}/bin/lockstep",), environment=environment, **options)
