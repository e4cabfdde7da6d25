"""The MPI plug-in built again against another MPI by distributed/mpi/build.sh: the same results, and one line where launcher and plug-in differ."""
import os
import pathlib
import shutil
import subprocess
import unittest

import job

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "distributed" / "mpi"
PLUG_IN = pathlib.Path(job.PROGRAM).parent.parent / "lib" / "liblockstep_mpi.so"
CHECKS = pathlib.Path(job.PROGRAM).parent / "mpi_checks"
MPICH = "mpirun.mpich"
SHORT = ("run.device=cpu", "train.steps=14")  # more than an epoch
DIFFERENT = "lockstep: start-up: the launcher and the MPI plug-in are of different MPIs: "


@unittest.skipUnless(PLUG_IN.exists(), "this build has no MPI plug-in")
class PlugInTest(job.SystemTest):
    def build(self, *arguments, script=SOURCE / "build.sh", **variables):
        """How build.sh ended: (code, its lines on both streams)."""
        environment = {**os.environ, "LOCKSTEP": job.PROGRAM, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", **variables}
        result = subprocess.run([script, *map(str, arguments)], env=environment, cwd=self.folder, text=True, capture_output=True, timeout=100, check=False)
        return result.returncode, result.stdout + result.stderr

    def named(self, file):
        return {"LOCKSTEP_MPI_PLUG_IN": str(file)}


@unittest.skipUnless(shutil.which(MPICH) and shutil.which("mpicc.mpich"), "MPICH is not installed beside Open MPI (packages mpich and libmpich-dev)")
class MpichTest(PlugInTest):
    def setUp(self):
        super().setUp()
        code, self.said = self.build("--to", "site", "mpicc.mpich")
        self.assertEqual(code, 0, self.said)
        self.environment = self.named(self.folder / "site" / "liblockstep_mpi.so")

    def on_mpich(self, *arguments, ranks=2, **options):
        return self.run_program(*arguments, launcher=(MPICH, "-np", str(ranks)), environment=self.environment, **options)

    def test_the_script_says_what_it_did_and_what_to_do(self):
        self.assertRegex(self.said, r"built    .*/site/liblockstep_mpi.so with .*/mpicc.mpich\nanswers  MPICH [0-9.]+\nranks    2 ranks of .*/mpirun.mpich met\n"
                                    r"use      export LOCKSTEP_MPI_PLUG_IN=.*/site/liblockstep_mpi.so\n$")
        version = self.run_well("--version", environment=self.environment)
        self.assertRegex("\n".join(version.out), r"MPI plug-in   .*/site/liblockstep_mpi.so \(MPICH [0-9.]+\)")

    def test_training_gives_the_bits_of_open_mpi_and_of_one_rank(self):
        alone = self.train("alone", *SHORT)
        self.assertEqual(self.train("open_mpi", *SHORT, ranks=2).digest(), alone.digest())
        result = self.on_mpich("train", "run.toml", "run.directory=mpich", *SHORT)
        self.assertEqual(result.code, 0, result.everything)
        self.assertEqual(result.digest(), alone.digest())
        self.assertTrue(any(line.startswith("2 ranks of") and "(MPICH " in line for line in result.out), result.everything)

    @unittest.skipUnless(CHECKS.exists(), "mpi_checks is not built")
    def test_every_collective_delivers(self):
        for arguments in ((), ("4096",)):  # whole, and in pieces of so many bytes
            result = self.on_mpich(*arguments, program=(str(CHECKS),))
            self.assertEqual(result.code, 0, result.everything)

    def test_an_error_ends_every_rank_with_its_code(self):
        result = self.on_mpich("train", "run.toml", "run.directory=run", "run.lanes=1")
        self.assertEqual(result.code, 64, result.everything)
        self.assertTrue(any(line.endswith("1 lanes cannot serve 2 ranks: set run.lanes to 2 or more, or start fewer ranks") for line in result.err),
                        result.everything)

    def test_the_plug_in_of_another_mpi_than_the_launchers_is_named(self):
        train = ("train", "run.toml", "run.directory=run", *SHORT)
        plug_in_of_mpich = self.run_program(*train, ranks=2, environment=self.environment)
        plug_in_of_open_mpi = self.run_program(*train, launcher=(MPICH, "-np", "2"))
        for result, said in ((plug_in_of_mpich, "OMPI_COMM_WORLD_SIZE says 2 ranks, MPICH "), (plug_in_of_open_mpi, "PMI_SIZE says 2 ranks, Open MPI ")):
            self.assertNotEqual(result.code, 0, result.everything)
            lines = [line for line in result.err if "lockstep: " in line]
            self.assertTrue(lines and all(line.startswith(DIFFERENT + said) and "share/lockstep/mpi/build.sh" in line for line in lines), result.everything)
            self.assertLess(result.seconds, 30)
        self.assertFalse((self.folder / "run").exists())


class BuildTest(PlugInTest):
    def test_the_file_is_plain_c99(self):
        for compiler in filter(shutil.which, ("mpicc", "mpicc.openmpi", "mpicc.mpich")):
            command = [compiler, "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-c", "-o", "out.o", SOURCE / "mpi_calls.c"]
            result = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 0, result.stderr)

    def install(self):
        prefix = self.folder / "prefix"
        for name in ("bin/lockstep", "lib/liblockstep.so", "lib/liblockstep_mpi.so"):
            (prefix / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(pathlib.Path(job.PROGRAM).parent.parent / name, prefix / name)
        shutil.copytree(SOURCE, prefix / "share/lockstep/mpi")
        return prefix

    @unittest.skipUnless(shutil.which("mpicc"), "no mpicc")
    def test_in_an_installation_the_sites_own_goes_first(self):
        prefix = self.install()
        script, program = prefix / "share/lockstep/mpi/build.sh", (str(prefix / "bin/lockstep"),)

        def plug_in():
            return next(line for line in self.run_well("--version", program=program).out if "MPI plug-in" in line)

        self.assertIn(f"{prefix}/lib/liblockstep_mpi.so (", plug_in())
        code, said = self.build(script=script, LOCKSTEP="")
        self.assertEqual(code, 0, said)
        self.assertIn(f"use      nothing to do: it goes before {prefix}/lib/liblockstep_mpi.so; remove it to go back", said)
        self.assertIn(f"{prefix}/lib/site/liblockstep_mpi.so (", plug_in())
        # Without a RUNPATH of its own it would be served by the program's folders, where an MPI of the same name may lie.
        entries = subprocess.run(["readelf", "-d", prefix / "lib/site/liblockstep_mpi.so"], capture_output=True, text=True, check=True).stdout
        self.assertIn("(RUNPATH)", entries)

    @unittest.skipUnless(shutil.which("mpicc"), "no mpicc")
    def test_where_it_cannot_write_it_asks_for_another_folder(self):
        (self.folder / "file").write_text("")  # root may write anywhere but into a file
        code, said = self.build("--to", "file/site")
        self.assertEqual(code, 74, said)
        self.assertRegex(said, r'build.sh: cannot write to "file/site": name another folder, one that all hosts see: .*/build.sh --to FOLDER mpicc\n$')

    def test_what_is_missing_is_named(self):
        code, said = self.build("--to", "site", "/nowhere/mpicc")
        self.assertEqual(code, 64)
        self.assertRegex(said, r'build.sh: "/nowhere/mpicc" is not there: load the module of your MPI, or name its compiler wrapper: .* /path/to/mpicc')
        code, said = self.build("mpicc")
        self.assertEqual(code, 64)
        self.assertRegex(said, "build.sh: not inside an installation: name a folder for the plug-in: .* --to FOLDER mpicc")
        code, said = self.build("--to", "site", "cc")  # knows no mpi.h
        self.assertEqual(code, 1)
        self.assertRegex(said, r'build.sh: "/.*/cc" does not compile .*/mpi_calls.c: expected the wrapper of an MPI-3 library')

    @unittest.skipUnless(shutil.which("mpicc"), "no mpicc")
    def test_a_plug_in_that_does_not_fit_is_refused(self):
        for name, old, new in (("other", "LOCKSTEP_MPI_ABI 1\n", "LOCKSTEP_MPI_ABI 99\n"), ("shorter", "  int (*barrier)(LockstepMpiHandle comm);\n", "")):
            shutil.copytree(SOURCE, self.folder / name)
            header = self.folder / name / "mpi_calls.h"
            header.write_text(header.read_text().replace(old, new))
            source = self.folder / name / "mpi_calls.c"
            if not new:
                source.write_text(source.read_text().replace("      .barrier = barrier,\n", "").replace("static int barrier", "int barrier"))
            code, said = self.build("--to", "site", script=self.folder / name / "build.sh")
            self.assertEqual(code, 1, said)
            expected = 'expected build "lockstep mpi 1", got "lockstep mpi 99"; build it again from this version\'s source' if new else "expected interface 1 of "
            self.assertIn(expected, said)
            self.assertIn("built, but", said)
            self.assertFalse((self.folder / "site").exists())

    def test_a_named_file_that_is_absent_is_an_error_of_jobs_and_a_fact_of_version(self):
        line = 'plug-in: LOCKSTEP_MPI_PLUG_IN names "/nowhere/x.so": there is no such file'
        result = self.run_program("ranks", ranks=1, environment=self.named("/nowhere/x.so"))
        self.assertEqual(result.code, 64, result.everything)
        self.assertEqual(result.err, ["lockstep: " + line])
        self.assertIn("  MPI plug-in   none: " + line, self.run_well("--version", environment=self.named("/nowhere/x.so")).out)


class RanksTest(PlugInTest):
    def test_ranks_meet_and_are_listed(self):
        self.assertEqual(self.run_well("ranks").out[0], "1 rank without MPI: no launcher started this process")
        together = self.run_well("ranks", ranks=3).out
        self.assertRegex(together[0], r"^3 ranks over .*liblockstep_mpi.so \(Open MPI v[0-9.]+\)$")
        self.assertEqual(together[1], f"  ranks 0-2 on {os.uname().nodename}")
        self.assertRegex(together[2], r"^  a sum over 4 MiB: [0-9.]+ ms$")
        self.assertEqual(self.run_well("ranks", "x", code=64).err, ['lockstep: ranks: unexpected argument "x"'])


if __name__ == "__main__":
    unittest.main()
