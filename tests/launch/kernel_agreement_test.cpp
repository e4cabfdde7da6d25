#include "launch/kernel_agreement.h"

#include <gtest/gtest.h>

#include <map>

#include "distributed/self_communicator.h"
#include "distributed/thread_communicator.h"
#include "tests/support/expect_error.h"

namespace lockstep {
namespace {

using test::expect_error;

/// One problem; its engine is a text.
class OneChoice : public KernelChoices {
 public:
  explicit OneChoice(std::string engine) : engine_(std::move(engine)) {}
  std::string known() const override { return engine_; }
  void replace(const std::string& known) override { engine_ = known; }
  void prefer(const std::string& known) override { engine_ = known; }
  std::string used() const override { return engine_; }
  std::string describe() const override { return "1 engine"; }
  void keep() override { ++kept; }
  std::vector<std::string> take_notes() override { return {"a note"}; }
  int kept = 0;

 private:
  std::string engine_;
};

class Machine : public Backend {
 public:
  explicit Machine(KernelChoices* choices) : choices_(choices) {}
  std::string name() const override { return "machine"; }
  std::string describe() const override { return "a machine"; }
  std::vector<Precision> precisions() const override { return {Precision::bf16}; }
  Device& device() override { return host_device(); }
  WorkOrder order() const override { return WorkOrder::by_instruction; }
  std::unique_ptr<Kernel> make(const OpSpec&) const override { return nullptr; }
  KernelChoices* choices() const override { return choices_; }
  int workers() const override { return 1; }
  void parallel(int, const std::function<void(int, int)>&) override {}

 private:
  KernelChoices* choices_;
};

TEST(KernelAgreementTest, RankZerosEnginesCountAndItAloneKeepsThem) {
  run_ranks(3, [](Communicator& ranks) {
    OneChoice choice("of rank " + std::to_string(ranks.rank()));
    const Machine machine(&choice);
    agree_on_kernels(machine, ranks);
    EXPECT_EQ(choice.used(), "of rank 0");
    const auto notes = settle_kernels(machine, ranks);
    EXPECT_EQ(choice.kept, ranks.rank() == 0 ? 1 : 0);
    EXPECT_EQ(notes.size(), ranks.rank() == 0 ? 1u : 0u);
  });
}

TEST(KernelAgreementTest, AnEarlierPartOfTheRunGoesFirst) {
  run_ranks(2, [](Communicator& ranks) {
    OneChoice choice("now");
    agree_on_kernels(Machine(&choice), ranks, ranks.rank() == 0 ? "before" : "");
    EXPECT_EQ(choice.used(), "before");
  });
}

TEST(KernelAgreementTest, RanksWhoseKernelsDifferAllTheSameEnd) {
  run_ranks(2, [](Communicator& ranks) {
    OneChoice choice(ranks.rank() == 0 ? "a" : "b");
    expect_error(ErrorKind::usage, "start-up: the ranks differ in \"engines\": rank 0 has \"", [&] { settle_kernels(Machine(&choice), ranks); });
  });
}

TEST(KernelAgreementTest, WhereNothingIsChosenNothingIsSaid) {
  SelfCommunicator alone;
  const Machine machine(nullptr);
  agree_on_kernels(machine, alone);
  EXPECT_TRUE(settle_kernels(machine, alone).empty());
  EXPECT_EQ(fingerprint_of(machine), "a machine");
}

TEST(KernelAgreementTest, TheFingerprintTellsEnginesApart) {
  OneChoice a("a"), b("b");
  EXPECT_EQ(fingerprint_of(Machine(&a)).substr(0, 19), "a machine, engines ");
  EXPECT_NE(fingerprint_of(Machine(&a)), fingerprint_of(Machine(&b)));
}

TEST(KernelAgreementTest, PlansAreKeptInTheUsersCache) {
  std::map<std::string, const char*> variables;
  const auto environment = [&](const char* name) -> const char* { return variables.count(name) ? variables.at(name) : nullptr; };
  EXPECT_EQ(kept_plans(environment), "");
  variables["HOME"] = "/home/me";
  EXPECT_EQ(kept_plans(environment), "/home/me/.cache/lockstep/cuda-plans");
  variables["XDG_CACHE_HOME"] = "/cache";
  EXPECT_EQ(kept_plans(environment), "/cache/lockstep/cuda-plans");
  variables["LOCKSTEP_CUDA_PLANS"] = "/own";
  EXPECT_EQ(kept_plans(environment), "/own");
}

}  // namespace
}  // namespace lockstep
