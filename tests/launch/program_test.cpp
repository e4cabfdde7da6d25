#include <sstream>
#include <stdexcept>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "launch/command.h"
#include "launch/program.h"

namespace lockstep {
namespace {

class FakeWorld : public Communicator {
 public:
  explicit FakeWorld(int& aborted) : aborted_(aborted) {}
  int rank() const override { return 3; }
  int size() const override { return 4; }
  int local_rank() const override { return 3; }
  int local_size() const override { return 4; }
  std::string describe() const override { return "fake"; }
  void barrier() override {}
  void broadcast(void*, std::size_t, int) override {}
  void all_reduce_sum(float*, std::int64_t) override {}
  void all_reduce_sum(double*, std::int64_t) override {}
  void all_gather(const void*, void*, std::span<const std::size_t>) override {}
  void all_to_all(const void*, std::span<const std::size_t>, void*, std::span<const std::size_t>) override {}
  std::unique_ptr<Communicator> split(int) override { return nullptr; }
  void abort(int code) override { aborted_ = code; }

 private:
  int& aborted_;
};

int aborted_code = 0;

int try_out(const Arguments& arguments, CommandContext& context) {
  if (arguments.has("world")) context.world = std::make_unique<FakeWorld>(aborted_code);
  const std::string what = arguments.choice("fail", std::vector<std::string>{"no", "ours", "foreign"}, "no");
  if (what == "ours") fail(ErrorKind::content, "a.h5: bad");
  if (what == "foreign") throw std::out_of_range("vector::at");
  context.out << "count " << arguments.integer("count", 1, 1, 10);
  for (const std::string& argument : arguments.positional()) context.out << " [" << argument << "]";
  return 7;
}

const RegisterCommand registered({.name = "try-out",
                                  .summary = "a command of this test",
                                  .usage = "[KEY=VALUE ...]",
                                  .help = "Examples:\n  lockstep try-out a=1\n",
                                  .options = {{"fail", "HOW", "how to fail"}, {"count", "N", "a number"}, {"world", "", "with ranks"}},
                                  .run = try_out});

struct Outcome {
  int code;
  std::string out, err;
};

Outcome run(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  const int code = run_program(arguments, out, err);
  return {code, out.str(), err.str()};
}

TEST(ProgramTest, NoArgumentGivesTheShortHelpAndSucceeds) {
  const Outcome got = run({});
  EXPECT_EQ(got.code, 0);
  EXPECT_NE(got.out.find("mpirun -np 4 lockstep train run.toml"), std::string::npos);
  EXPECT_EQ(got.out.find("Exit codes"), std::string::npos);
  EXPECT_EQ(got.err, "");
}

TEST(ProgramTest, FullHelpListsCommandsExitCodesAndEnvironment) {
  const Outcome got = run({"--help"});
  EXPECT_EQ(got.code, 0);
  for (const char* part : {"try-out", "a command of this test", "Exit codes:", "75  stopped on request", "NO_COLOR", "SIGUSR2"})
    EXPECT_NE(got.out.find(part), std::string::npos) << part;
  EXPECT_EQ(run({"help"}).out, got.out);
}

TEST(ProgramTest, HelpOfACommandComesThreeWays) {
  const Outcome got = run({"help", "try-out"});
  EXPECT_EQ(got.code, 0);
  EXPECT_EQ(got.out.rfind("usage: lockstep try-out [KEY=VALUE ...]\n\na command of this test\n\nExamples:\n", 0), 0u) << got.out;
  EXPECT_NE(got.out.find("  --count=N   a number\n"), std::string::npos) << got.out;
  EXPECT_EQ(run({"try-out", "--help"}).out, got.out);
  EXPECT_EQ(run({"try-out", "x", "-h"}).out, got.out);
}

TEST(ProgramTest, VersionNamesTheBuild) {
  const Outcome got = run({"--version"});
  EXPECT_EQ(got.code, 0);
  EXPECT_EQ(got.out.rfind("lockstep 0.", 0), 0u) << got.out;
  for (const char* part : {"HDF5", "oneDNN", "Boost", "MPI plug-in", "CUDA plug-in", "NVIDIA driver", "processor     x86-64"})
    EXPECT_NE(got.out.find(part), std::string::npos) << part << " in " << got.out;
}

TEST(ProgramTest, TypedWrongIsAnsweredByTheNearestName) {
  const Outcome command = run({"try-uot"});
  EXPECT_EQ(command.code, 64);
  EXPECT_EQ(command.err, "lockstep: unknown command \"try-uot\"; did you mean \"try-out\"?; see \"lockstep --help\"\n");
  const Outcome option = run({"try-out", "--cuont=3"});
  EXPECT_EQ(option.code, 64);
  EXPECT_EQ(option.err, "lockstep: try-out: unknown option \"--cuont\"; did you mean \"--count\"?; see \"lockstep help try-out\"\n");
}

TEST(ProgramTest, ACommandOfTwoWordsNeedsBoth) {
  const Outcome help = run({"help", "bench", "device"});
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.out.rfind("usage: lockstep bench device [run.KEY=VALUE ...]", 0), 0u) << help.out;
  EXPECT_EQ(run({"bench", "device", "--help"}).out, help.out);
  const Outcome half = run({"bench"});
  EXPECT_EQ(half.code, 64);
  EXPECT_EQ(half.err, "lockstep: bench: expected what to do, got \"\"; known: device, step; see \"lockstep help bench device\"\n");
  EXPECT_EQ(run({"bench", "devcie"}).err, "lockstep: bench: expected what to do, got \"devcie\"; known: device, step; see \"lockstep help bench device\"\n");
  EXPECT_EQ(run({"help", "bench"}).err, half.err);
}

TEST(ProgramTest, ArgumentsReachTheCommandAndItsCodeComesBack) {
  EXPECT_EQ(run({"try-out", "--count=3", "a=1", "~b"}).out, "count 3 [a=1] [~b]");
  EXPECT_EQ(run({"try-out", "--count", "3", "--", "--count"}).out, "count 3 [--count]");
  EXPECT_EQ(run({"try-out", "-c"}).code, 64);
  EXPECT_EQ(run({"try-out"}).code, 7);
}

TEST(ProgramTest, BadValuesOfOptionsAreUsageErrors) {
  EXPECT_EQ(run({"try-out", "--count=11"}).err, "lockstep: try-out: --count: expected a whole number from 1 to 10, got \"11\"\n");
  EXPECT_EQ(run({"try-out", "--count=1x"}).code, 64);
  EXPECT_EQ(run({"try-out", "--fail=x"}).err, "lockstep: try-out: --fail: unknown value \"x\"; known: no, ours, foreign\n");
  EXPECT_EQ(run({"try-out", "--count=1", "--count=2"}).err, "lockstep: try-out: option \"--count\" is given twice\n");
}

TEST(ProgramTest, ErrorsAreOneLineAndTheExitCodeOfTheirKind) {
  const Outcome ours = run({"try-out", "--fail=ours"});
  EXPECT_EQ(ours.code, 65);
  EXPECT_EQ(ours.err, "lockstep: a.h5: bad\n");
  const Outcome foreign = run({"try-out", "--fail=foreign"});
  EXPECT_EQ(foreign.code, 70);
  EXPECT_EQ(foreign.err, "lockstep: vector::at\n");
}

TEST(ProgramTest, AnErrorNamesItsRankAndTakesTheOthersAlong) {
  aborted_code = 0;
  const Outcome got = run({"try-out", "--world", "--fail=ours"});
  EXPECT_EQ(got.err, "[rank 3] lockstep: a.h5: bad\n");
  EXPECT_EQ(aborted_code, 65);
}

}  // namespace
}  // namespace lockstep
