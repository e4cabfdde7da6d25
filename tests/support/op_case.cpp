#include "tests/support/op_case.h"

#include <gtest/gtest.h>

namespace lockstep::test {

OpCase::OpCase(Backend& backend, OpSpec spec) : op_(spec.op), kernel_(backend.make(spec)), twin_(backend.device()) {}

void OpCase::run(KernelCall call) {
  const Guarded workspace(kernel_->workspace_bytes());
  fault = 0;
  for (const Operand& read : reads_)
    if (read.memory) twin_.add(*read.memory);
  for (const Operand& write : writes_)
    if (write.memory && write.memory.use_count() == 1) twin_.add(*write.memory);
  twin_.add(workspace);
  twin_.add(std::span(&step, 1)), twin_.add(std::span(&fault, 1));
  twin_.upload();
  std::vector<const void*> reads;
  std::vector<void*> writes;
  for (const Operand& read : reads_) reads.push_back(twin_.at(read.data()));
  for (const Operand& write : writes_) writes.push_back(twin_.at(write.data()));
  call.reads = reads, call.writes = writes;
  call.step = twin_.at(&step);
  call.workspace = twin_.at(workspace.data());
  call.stream = twin_.stream();
  if (!twin_.on_host()) call.fault = twin_.at(&fault);
  kernel_->run(call);
  twin_.download();
  EXPECT_TRUE(workspace.intact()) << op_ << " writes outside its workspace";
  for (const auto* operands : {&reads_, &writes_})
    for (const Operand& operand : *operands) EXPECT_TRUE(!operand.memory || operand.memory->intact()) << op_ << " writes outside an operand";
}

}  // namespace lockstep::test
