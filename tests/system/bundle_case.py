"""The bundle, packed once from the build under test, and roots to run it in."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import tarfile
import unittest

import job

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(job.PROGRAM).parent.parent
HOME = BUILD / "bundle_test"  # kept: the tests of one build share what was packed
RECIPE = SOURCE / "examples/fashion_mnist/run.toml"
IMAGES = pathlib.Path("/usr/share/datasets/fashion-mnist")
STEPS = 2
CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"

# In a mount namespace of its own: $1 is the new root, $2 the bundle, $3 its path in there, $4 a folder to write in. All else is read-only or new.
ENTER = r"""
set -e
root=$1 bundle=$2 place=$3 work=$4
shift 4
[ "$(ls -A "$root")" ] || mount -t tmpfs none "$root"
mkdir -p "$root"/proc "$root"/dev "$root"/sys "$root"/tmp "$root"/job "$root$place"
mount --bind "$bundle" "$root$place"
mount -o remount,bind,ro "$root$place"
mount --bind "$work" "$root/job"
mount -t proc none "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t tmpfs none "$root/tmp"
exec env -i "$@"
"""


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **options)


def run_well(*command, **options):
    result = run(*command, **options)
    if result.returncode:
        raise AssertionError(f"{command}: ended with {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def stamp_of_build():
    """Changes with whatever goes into the bundle."""
    parts = [BUILD / "bin/lockstep", *sorted((BUILD / "lib").glob("*.so")), *sorted((SOURCE / "launch/bundle").iterdir())]
    return hashlib.sha256(repr([(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in parts]).encode()).hexdigest()


def digest_of(output):
    return next(line.split()[-1] for line in output.splitlines() if "state digest: " in line)


def train(run_file, directory):
    return ["train", run_file, f"run.directory={directory}", f"train.steps={STEPS}"]


class BundleCase(unittest.TestCase):
    """`bundle` is the unpacked folder, `tarball` what it came from, `work` a new folder with the recipe and its data."""

    @classmethod
    def setUpClass(cls):
        for tool in ("patchelf", "xz", "dpkg", "cc"):
            if not shutil.which(tool):
                raise unittest.SkipTest(f"\"{tool}\" is not installed here")
        if not (BUILD / "lib/liblockstep_mpi.so").exists():
            raise unittest.SkipTest("this build has no MPI plug-in")
        if not IMAGES.exists():
            raise unittest.SkipTest("Debian's dataset-fashion-mnist is not installed here")
        cls.tarball = HOME / "bundle.tar.xz"
        cls.pack_once()
        cls.bundle = next((HOME / "unpacked").iterdir())

    @classmethod
    def pack_once(cls):
        stamp, kept = HOME / "stamp", stamp_of_build()
        if stamp.exists() and stamp.read_text() == kept:
            return
        shutil.rmtree(HOME, ignore_errors=True)
        HOME.mkdir()
        # The fastest level of xz: most of a release's packing is compression.
        run_well(SOURCE / "launch/bundle/pack.sh", BUILD, cls.tarball, "--level", "0")
        with tarfile.open(cls.tarball) as archive:
            archive.extractall(HOME / "unpacked")
        run_well(job.PROGRAM, "convert", "fashion-mnist", HOME / "fashion.h5")
        stamp.write_text(kept)

    def setUp(self):
        self.work = HOME / "work" / self.id().rsplit(".", 1)[-1]
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        os.link(HOME / "fashion.h5", self.work / "fashion.h5")
        shutil.copy(RECIPE, self.work)

    def need_roots(self):
        if os.geteuid() != 0:
            self.skipTest("only root may change its root folder")
        if not shutil.which("unshare") or run("unshare", "-m", "true").returncode:
            self.skipTest("mount namespaces are not allowed here")

    def in_root(self, root, place, *command, ranks=0, environment=()):
        """`command` sees the bundle at `place`, `work` at /job, and nothing of this machine's files."""
        root.mkdir(parents=True, exist_ok=True)
        start = [f"{place}/bin/mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", str(ranks)] if ranks else []
        # chroot itself is the host's: env -i leaves it only what is named here.
        return run("unshare", "-m", "--propagation", "private", "bash", "-c", ENTER, "enter", root, self.bundle, place, self.work,
                   *environment, CHROOT, root, *start, *command)

    def installed_digest(self):
        """What the installed program makes of the same run, outside."""
        prefix = HOME / "installed"
        if not prefix.exists():
            run_well("cmake", "--install", BUILD, "--prefix", prefix)
        environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        return digest_of(run_well(job.MPIRUN, "-np", "2", "--oversubscribe", "--bind-to", "none", prefix / "bin/lockstep", *train("run.toml", "installed"),
                                  cwd=self.work, env=environment))
