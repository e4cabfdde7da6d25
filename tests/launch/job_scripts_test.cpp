#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "io/atomic_file.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::TemporaryDirectory;

/// Runs a job script with a launcher of the test's in front of the PATH: the n-th start ends with the n-th code, and
/// saves a checkpoint first where the code is 75 or 137.
struct Job {
  TemporaryDirectory directory;

  void put(const std::string& name, const std::string& text) {
    std::ofstream(directory / name) << text;
    std::filesystem::permissions(directory / name, std::filesystem::perms::owner_all);
  }
  int run(const std::string& script, const std::string& codes, const std::string& environment = "") {
    put("codes", codes);
    put("mpirun",
        "#!/bin/bash\n"
        "echo \"$*\" >> calls\n"
        "n=$(wc -l < calls)\n"
        "code=$(cut -d' ' -f$n codes)\n"
        "mkdir -p run/checkpoints\n"
        "[ $code = 75 ] || [ $code = 137 ] && echo x > run/checkpoints/step-$n\n"
        "exit ${code#saved-}\n");
    put("scontrol", "#!/bin/bash\necho \"scontrol $*\" >> calls\n");
    const std::string line = "cd " + directory.path().string() + " && rm -f calls && " + environment +
                             " PATH=$PWD:$PATH bash " LOCKSTEP_SOURCE_DIR "/launch/job_scripts/" + script + " > output 2>&1";
    return WEXITSTATUS(std::system(line.c_str()));
  }
  std::string text(const std::string& name) { return read_text(directory / name, 10000); }
};

constexpr const char* kPlain = "mpirun.sh -np 2 -- run.toml run.directory=run";
const std::string kCall = "-np 2 lockstep train run.toml run.directory=run run.if_exists=resume\n";

TEST(JobScriptTest, PlainMachinesStartAgainUntilDone) {
  Job job;
  EXPECT_EQ(job.run(kPlain, "75 137 0"), 0);
  EXPECT_EQ(job.text("calls"), kCall + kCall + kCall);
}

TEST(JobScriptTest, AnErrorOfTheRunIsNotRepeated) {
  for (const char* code : {"64", "65", "70", "74", "78"}) {
    Job job;
    EXPECT_EQ(job.run(kPlain, code), std::atoi(code));
    EXPECT_EQ(job.text("calls"), kCall);
  }
}

TEST(JobScriptTest, StopsWithoutProgressAndAtItsCap) {
  Job job;
  EXPECT_EQ(job.run(kPlain, "139 0"), 139);
  EXPECT_NE(job.text("output").find("saved nothing new"), std::string::npos);
  Job capped;
  EXPECT_EQ(capped.run(kPlain, "75 75 75 75", "MOST_RESTARTS=2"), 75);
  EXPECT_EQ(capped.text("calls"), kCall + kCall + kCall);
}

TEST(JobScriptTest, ARunDirectoryIsAskedFor) {
  Job job;
  EXPECT_EQ(job.run("mpirun.sh -np 2 -- run.toml", "0"), 64);
  EXPECT_NE(job.text("output").find("expected run.directory=RUN_DIR"), std::string::npos);
  EXPECT_EQ(job.run("slurm.sh run.toml", "0"), 64);
}

TEST(JobScriptTest, SlurmQueuesAStoppedJobAgainAndOnlyThat) {
  const std::string call = "lockstep train run.toml run.directory=run run.if_exists=resume\n";
  Job job;
  EXPECT_EQ(job.run("slurm.sh run.toml run.directory=run", "75", "SLURM_JOB_ID=7"), 75);
  EXPECT_EQ(job.text("calls"), call + "scontrol requeue 7\n");
  EXPECT_EQ(job.run("slurm.sh run.toml run.directory=run", "0", "SLURM_JOB_ID=7 SLURM_RESTART_COUNT=1"), 0);
  EXPECT_EQ(job.text("calls"), call);
  EXPECT_EQ(job.run("slurm.sh run.toml run.directory=run", "75", "SLURM_JOB_ID=7 SLURM_RESTART_COUNT=50"), 75);
  EXPECT_NE(job.text("output").find("50 restarts are used up"), std::string::npos);
}

TEST(JobScriptTest, SlurmStopsWhenTwoStartsSavedNothing) {
  Job job;
  std::filesystem::create_directories(job.directory.path() / "run");
  EXPECT_EQ(job.run("slurm.sh run.toml run.directory=run", "139", "SLURM_JOB_ID=7"), 139);
  EXPECT_NE(job.text("calls").find("requeue"), std::string::npos);
  EXPECT_EQ(job.run("slurm.sh run.toml run.directory=run", "139", "SLURM_JOB_ID=7"), 139);
  EXPECT_EQ(job.text("calls").find("requeue"), std::string::npos);
  EXPECT_NE(job.text("output").find("no progress since the last start"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
