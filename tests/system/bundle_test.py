"""The relocatable bundle: on this machine, in an empty root, and in one of an older distribution."""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import bundle_case
import job

MIB = 1 << 20


class PackedTest(bundle_case.BundleCase):
    """What needs no other root."""

    def test_sizes(self):
        limit = 1.2 * MIB  # a release is packed at level 9: by that much smaller than at level 0
        plug_in = self.bundle / "lib/liblockstep_cuda.so"
        size = self.tarball.stat().st_size
        if plug_in.exists():
            self.assertLess(size, 64 * limit)
            size -= len(subprocess.run(["xz", "-0c", plug_in], capture_output=True, check=True).stdout)
        self.assertLess(size, 20 * limit)

    def test_manifest_names_each_file(self):
        text = (self.bundle / "MANIFEST.txt").read_text()
        self.assertRegex(text, r"^lockstep \d+\.\d+\.\d+ \(")
        self.assertRegex(text, r"\n  libstdc\+\+6 \d")
        named = dict(reversed(line.split("  ", 1)) for line in text.split("sha256:\n")[1].splitlines())
        found = {str(path.relative_to(self.bundle)) for path in self.bundle.rglob("*") if path.is_file()} - {"MANIFEST.txt"}
        self.assertEqual(set(named), found)
        for name in ("bin/lockstep", "lib/liblockstep.so", "libc/libc.so.6"):
            self.assertEqual(hashlib.sha256((self.bundle / name).read_bytes()).hexdigest(), named[name])

    def test_each_library_has_its_licence(self):
        texts = {path.stem for path in (self.bundle / "share/licences").iterdir()}
        self.assertLessEqual({"lockstep", "libc6", "libstdc++6", "libdnnl2", "libhdf5-103-1", "openmpi-bin", "libopenmpi3", "libpmix2"}, texts)

    def test_a_host_that_is_new_enough_keeps_its_c_library(self):
        def version(stem, **environment):
            return bundle_case.run_well(self.bundle / "bin/lockstep", "--version", env={"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": f"{self.work}/{stem}", **environment})

        self.assertIn("oneDNN", version("host"))
        self.assertEqual(version("own", LOCKSTEP_LIBC="bundle"), version("host"))
        self.assertNotIn(f"{self.bundle}/libc/libc.so.6", self.opened("host"))
        self.assertIn(f"{self.bundle}/libc/libc.so.6", self.opened("own"))

    def opened(self, stem):
        """The libraries that processes with this prefix of debug files initialised."""
        text = "".join(path.read_text() for path in self.work.glob(f"{stem}.*"))
        return {os.path.normpath(path) for path in re.findall(r"calling init: (\S+)", text)}

    def libmpi_under(self, mpirun, **environment):
        """Which libmpi two ranks take."""
        environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", **environment}
        met = bundle_case.run_well(mpirun, "-np", "2", "--oversubscribe", "--bind-to", "none", "env", "LD_DEBUG=files", f"LD_DEBUG_OUTPUT={self.work}/rank",
                                   self.bundle / "bin/lockstep", "ranks", env=environment)
        self.assertRegex(met, r"(?m)^2 ranks over .*\(Open MPI ")
        return [path for path in self.opened("rank") if "libmpi.so" in path]

    def test_the_sites_mpi_serves_under_its_own_mpirun(self):
        self.assertEqual(self.libmpi_under(job.MPIRUN, LD_LIBRARY_PATH="/usr/lib/x86_64-linux-gnu"), ["/usr/lib/x86_64-linux-gnu/libmpi.so.40"])

    def test_the_bundles_mpi_serves_under_the_bundles_mpirun(self):
        found = self.libmpi_under(self.bundle / "bin/mpirun", LD_LIBRARY_PATH="/usr/lib/x86_64-linux-gnu", OPAL_PREFIX="/opt/sites")
        self.assertEqual(found, [f"{self.bundle}/lib/openmpi/libmpi.so.40"])

    def test_a_plug_in_built_for_the_sites_mpi_takes_that(self):
        said = bundle_case.run_well(self.bundle / "share/lockstep/mpi/build.sh", "--to", self.work, shutil.which("mpicc.openmpi") or "mpicc",
                                    env={**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"})
        self.assertIn("answers  Open MPI", said)
        found = self.libmpi_under(job.MPIRUN, LOCKSTEP_MPI_PLUG_IN=str(self.work / "liblockstep_mpi.so"))
        self.assertEqual([os.path.basename(path) for path in found], ["libmpi.so.40"])
        self.assertFalse(found[0].startswith(str(self.bundle)), found)

    def test_mistakes_in_packing(self):
        pack, here = bundle_case.SOURCE / "launch/bundle/pack.sh", bundle_case.SOURCE / "launch/bundle.sh"
        known = "known: --with-cuda-libraries, --without-cuda, --with-tests, --level N"
        for command, code, line in (([pack], 64, "bundle: expected a build folder and the name of a tarball"),
                                    ([pack, self.work, "x"], 64, f'bundle: "{self.work}": expected the folder of a finished build, with bin/lockstep'),
                                    ([pack, bundle_case.BUILD, "x", "--fast"], 64, f'bundle: unknown option "--fast"; {known}'),
                                    ([here, "--plans"], 64, "bundle: --plans: expected a GPU, such as h200"),
                                    ([here, "--fast"], 64, 'bundle: unknown option "--fast"; known: --with-cuda-libraries, --with-tests, --without-cuda, --plans GPU')):
            with self.subTest(line=line):
                result = bundle_case.run(*command)
                self.assertEqual((result.returncode, result.stdout, result.stderr), (code, "", line + "\n"))
        (self.work / "folder").mkdir()
        for tool in ("bash", "dirname", "realpath", "dpkg", "cmake", "cc", "xz", "readelf"):
            os.symlink(shutil.which(tool), self.work / "folder" / tool)
        result = bundle_case.run(self.work / "folder/bash", pack, bundle_case.BUILD, "x", env={"PATH": str(self.work / "folder")})
        self.assertEqual((result.returncode, result.stderr), (69, 'bundle: "patchelf" is missing (launch/bundle.sh installs what is needed)\n'))

    def test_wishes_that_cannot_be_met(self):
        result = bundle_case.run(self.bundle / "bin/lockstep", env={"LOCKSTEP_LIBC": "musl"})
        self.assertEqual((result.returncode, result.stderr), (70, 'lockstep: bundle: LOCKSTEP_LIBC is "musl": expected host or bundle\n'))
        place = self.work / "a:b"
        shutil.copytree(self.bundle / "bin", place / "bin")
        result = bundle_case.run(place / "bin/mpirun")
        self.assertEqual(result.returncode, 70)
        self.assertEqual(result.stderr, f'mpirun: bundle: cannot run in "{place}": expected a path without ":" and ";", which separate the loader\'s paths\n')
        shutil.copytree(self.bundle / "bin", self.work / "alone/bin")
        result = bundle_case.run(self.work / "alone/bin/lockstep")
        self.assertEqual(result.returncode, 70)
        self.assertIn(f'does not start "{self.work}/alone/libexec/lockstep": No such file or directory', result.stderr)


class EmptyRootTest(bundle_case.BundleCase):
    """A root that holds the bundle, read-only, at a path with blanks, and nothing else: no shell, no C library."""

    def setUp(self):
        super().setUp()
        self.need_roots()

    def here(self, *command, **options):
        return self.in_root(bundle_case.HOME / "empty", "/opt/my programs/lockstep", *command, **options)

    def test_an_empty_root_gives_the_digest_of_the_installed_program(self):
        result = self.here("/opt/my programs/lockstep/bin/lockstep", *bundle_case.train("/job/run.toml", "/job/bundled"), ranks=2)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("2 ranks of ", result.stdout)
        self.assertEqual(result.stderr, "")
        self.assertEqual(bundle_case.digest_of(result.stdout), self.installed_digest())

    def test_an_empty_root_through_a_link(self):
        os.symlink("/opt/my programs/lockstep/bin/lockstep", self.work / "ls")
        version = self.here("/job/ls", "--version")
        self.assertEqual((version.returncode, version.stderr), (0, ""))
        self.assertIn("NVIDIA driver none", version.stdout)
        plan = self.here("/job/ls", "plan", "/job/run.toml", environment=("LANG=de_DE.UTF-8",))
        self.assertEqual((plan.returncode, plan.stderr), (0, ""))
        self.assertIn("conv2d", plan.stdout)
        known = self.here("/job/ls", "plan", "no_such_recipe")
        self.assertRegex(known.stderr, r"neither a run file nor a shipped recipe.*fashion_mnist")
        error = self.here("/job/ls", "train", "/job/absent.toml")
        self.assertEqual((error.returncode, error.stderr), (78, 'lockstep: run file "/job/absent.toml": cannot be opened: No such file or directory\n'))


class OlderRootTest(bundle_case.BundleCase):
    """Debian 11 (glibc 2.31) with its shell, unpacked from its packages."""

    PACKAGES = ["libc6", "libc-bin", "bash", "coreutils", "libtinfo6", "libselinux1", "libpcre2-8-0", "libattr1", "libacl1", "libgmp10"]
    PLACE = "/opt/lockstep"

    def setUp(self):
        super().setUp()
        self.need_roots()
        self.root = bundle_case.BUILD / "debian_11"  # kept over builds: it is fetched
        if not (self.root / "bin/bash").exists():
            self.fetch()

    def fetch(self):
        """From where this machine has its own packages."""
        folder = self.root.with_name("debian_11_packages")
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("lists/partial", "archives/partial"):
            (folder / name).mkdir(parents=True)
        if not shutil.which("apt-get"):
            self.skipTest("no apt-get to fetch Debian 11's packages")
        known = bundle_case.run("apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages", "Component: main").stdout
        source = next((line.split()[1] for line in known.splitlines() if line.startswith("bookworm ")), None)
        if not source:
            self.skipTest("apt-get knows no Debian to fetch Debian 11's packages from")
        (folder / "sources.list").write_text(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {source} bullseye main\n")
        apt = ["apt-get", "-qq", "-o", f"Dir::Etc::SourceList={folder}/sources.list", "-o", "Dir::Etc::SourceParts=/dev/null", "-o", f"Dir::State::Lists={folder}/lists",
               "-o", "Dir::State::status=/dev/null", "-o", f"Dir::Cache={folder}", "-o", "Acquire::Languages=none"]
        for command in (["update"], ["download", *self.PACKAGES]):
            if bundle_case.run(*apt, *command, cwd=folder).returncode:
                self.skipTest("Debian 11's packages cannot be fetched here")
        unpacked = folder / "root"
        for package in folder.glob("*.deb"):
            bundle_case.run_well("dpkg-deb", "-x", package, unpacked)
        unpacked.rename(self.root)
        shutil.rmtree(folder)

    def here(self, *command, **options):
        return self.in_root(self.root, self.PLACE, *command, **options)

    def test_an_older_root_gives_the_digest_of_the_installed_program(self):
        result = self.here(f"{self.PLACE}/bin/lockstep", *bundle_case.train("/job/run.toml", "/job/bundled"), ranks=2)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual(bundle_case.digest_of(result.stdout), self.installed_digest())

    def test_programs_of_an_older_root_keep_their_c_library(self):
        # Ours in LD_LIBRARY_PATH would end bash at once: its loader is older.
        result = self.here("/bin/bash", "-c", "ls /job/run.toml && echo \"[$LD_LIBRARY_PATH]\"", ranks=1, environment=("LD_LIBRARY_PATH=/job/site",))
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(result.stdout.splitlines(), ["/job/run.toml", "[/job/site]"])

    def test_the_driver_of_an_older_root_is_found(self):
        """A stand-in that knows its version: by the folder that containers use, by the loader's cache, and by LD_LIBRARY_PATH."""
        source = self.work / "driver.c"
        for version, place in ((12020, "usr/local/nvidia/lib64"), (12030, "opt/driver"), (12040, "job/site")):
            folder = self.work / "site" if place == "job/site" else self.root / place
            folder.mkdir(parents=True, exist_ok=True)
            source.write_text(f"int cuDriverGetVersion(int* version) {{ *version = {version}; return 0; }}\n")
            bundle_case.run_well("cc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", folder / "libcuda.so.1", source)
            environment = ["LD_LIBRARY_PATH=/job/site"] if place == "job/site" else []
            if place == "opt/driver":
                shutil.rmtree(self.root / "usr/local/nvidia")
                (self.root / "etc/ld.so.conf").write_text("/opt/driver\n")
                bundle_case.run_well(bundle_case.CHROOT, self.root, "/sbin/ldconfig")
            with self.subTest(place=place):
                result = self.here(f"{self.PLACE}/bin/lockstep", "--version", environment=environment)
                self.assertIn(f"NVIDIA driver for CUDA 12.{version % 1000 // 10}", result.stdout, result.stderr)


if __name__ == "__main__":
    unittest.main()
