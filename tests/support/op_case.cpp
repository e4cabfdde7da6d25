#include "tests/support/op_case.h"

#include <gtest/gtest.h>

namespace lockstep::test {

OpCase::OpCase(Backend& backend, OpSpec spec) : op_(spec.op), kernel_(backend.make(spec)), twin_(backend.device()) {}

void OpCase::run(KernelCall call) {
  const Guarded workspace(kernel_->workspace_bytes());
  fault = 0;
  for (const auto* operands : {&reads_, &writes_})
    for (const auto& memory : *operands)
      if (memory) twin_.add(*memory);
  twin_.add(workspace);
  twin_.add(std::span(&step, 1)), twin_.add(std::span(&fault, 1));
  twin_.upload();
  std::vector<const void*> reads;
  std::vector<void*> writes;
  for (const auto& memory : reads_) reads.push_back(memory ? twin_.at(memory->data()) : nullptr);
  for (const auto& memory : writes_) writes.push_back(memory ? twin_.at(memory->data()) : nullptr);
  call.reads = reads, call.writes = writes;
  call.step = twin_.at(&step);
  call.workspace = twin_.at(workspace.data());
  call.stream = twin_.stream();
  if (!twin_.on_host()) call.fault = twin_.at(&fault);
  kernel_->run(call);
  twin_.download();
  EXPECT_TRUE(workspace.intact()) << op_ << " writes outside its workspace";
  for (const auto* operands : {&reads_, &writes_})
    for (const auto& memory : *operands) EXPECT_TRUE(!memory || memory->intact()) << op_ << " writes outside an operand";
}

}  // namespace lockstep::test
