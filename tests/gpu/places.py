"""Where the programs are: in an unpacked bundle, or in the folder of a build."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent


def unpack(bundle, folder):
    """The prefix of a bundle: a folder stays where it is, a tarball is unpacked into `folder` once."""
    bundle = pathlib.Path(bundle).resolve()
    if bundle.is_dir():
        return bundle
    target = pathlib.Path(folder) / "bundle"
    stamp = target / ".unpacked"
    facts = f"{bundle} {bundle.stat().st_size} {bundle.stat().st_mtime_ns}"
    if not stamp.exists() or stamp.read_text() != facts:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        with tarfile.open(bundle) as tar:
            tar.extractall(target)
        stamp.write_text(facts)
    inner = [path for path in target.iterdir() if path.is_dir()]
    return inner[0] if len(inner) == 1 and not (target / "bin").exists() else target


class Places:
    def __init__(self, prefix, python, variables=None):
        self.prefix, self.python, self.variables = pathlib.Path(prefix), python, dict(variables or {})
        self.lockstep = self._find("bin/lockstep")
        if not self.lockstep:
            raise FileNotFoundError(f"{self.prefix}: expected a bundle or a build with bin/lockstep in it")
        self.gpu_tests = self._find("gpu_tests", "bin/gpu_tests", "tests/gpu_tests")
        self.device = "cpu"  # until find_device says more

    def _find(self, *names):
        return next((self.prefix / name for name in names if (self.prefix / name).is_file()), None)

    def find_device(self):
        """What `run.device` the program has here: "cuda" where its plug-in and a driver are."""
        self.version = subprocess.run([self.lockstep, "--version"], capture_output=True, text=True, env=self.environment(), timeout=60, check=True).stdout
        driver = re.search(r"NVIDIA driver\s+(.*)", self.version)
        self.device = "cuda" if driver and driver[1] != "none" and "CUDA plug-in  not in" not in self.version else "cpu"

    def mpirun(self, ranks):
        """The words before a program that is to run on so many ranks; 0 is a plain process."""
        if not ranks:
            return []
        program = self._find("bin/mpirun") or os.environ.get("LOCKSTEP_MPIRUN") or shutil.which("mpirun")
        if not program:
            raise FileNotFoundError("mpirun: neither in the bundle nor on this machine")
        return [str(program), "-np", str(ranks), "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]

    def recipe(self, name):
        """A recipe's run file, such as "fashion_mnist/run.toml": the bundle's, else the source tree's."""
        return self._find(f"share/lockstep/examples/{name}") or HERE.parents[1] / "examples" / name

    def tool(self, name):
        """A tool of the CUDA toolkit, or None."""
        folders = [os.environ.get("CUDA_HOME", ""), os.environ.get("CUDA_PATH", ""), "/usr/local/cuda", "/opt/cuda"]
        found = shutil.which(name) or next((f"{folder}/bin/{name}" for folder in folders if folder and os.access(f"{folder}/bin/{name}", os.X_OK)), None)
        return found

    def environment(self, more=None):
        """The variables of every command: NVIDIA's packages of the Python at hand are found by VIRTUAL_ENV."""
        return {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "VIRTUAL_ENV": self.python_prefix(), **self.variables,
                **(more or {})}

    def python_prefix(self):
        if not hasattr(self, "_python_prefix"):
            asked = subprocess.run([self.python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=False)
            self._python_prefix = asked.stdout.strip() or sys.prefix
        return self._python_prefix
