#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/cuda_backend.h"
#include "tests/support/device_twin.h"

namespace lockstep::test {

/// Bytes of an operand that begins `shift` bytes behind an aligned address; empty: null.
struct ShiftedOperand {
  std::vector<std::byte> bytes;
  std::size_t shift = 0;
};

template <class T>
ShiftedOperand shifted(const std::vector<T>& values, std::size_t elements = 0) {
  ShiftedOperand operand{std::vector<std::byte>(values.size() * sizeof(T)), elements * sizeof(T)};
  std::memcpy(operand.bytes.data(), values.data(), operand.bytes.size());
  return operand;
}

/// Runs an op on CUDA with operands at such addresses and returns the bytes of its writes. `call` says rows and lanes.
inline std::vector<std::vector<std::byte>> run_shifted(const OpSpec& spec, const std::vector<ShiftedOperand>& reads,
                                                       const std::vector<ShiftedOperand>& writes, KernelCall call) {
  const std::unique_ptr<Kernel> kernel = cuda_backend().make(spec);
  DeviceTwin twin(cuda_backend().device());
  const Guarded workspace(kernel->workspace_bytes());
  StepBlock step;
  std::vector<Guarded> memory;
  for (const auto* operands : {&reads, &writes})
    for (const ShiftedOperand& operand : *operands) {
      const Guarded& one = memory.emplace_back(operand.bytes.empty() ? 0 : operand.bytes.size() + operand.shift);
      if (operand.bytes.empty()) continue;
      std::copy(operand.bytes.begin(), operand.bytes.end(), one.data() + operand.shift);
      twin.add(one);
    }
  twin.add(workspace), twin.add(std::span(&step, 1));
  twin.upload();
  std::vector<const void*> from;
  std::vector<void*> to;
  for (std::size_t i = 0; i < reads.size(); ++i)
    from.push_back(reads[i].bytes.empty() ? nullptr : twin.at(memory[i].data() + reads[i].shift));
  for (std::size_t i = 0; i < writes.size(); ++i)
    to.push_back(writes[i].bytes.empty() ? nullptr : twin.at(memory[reads.size() + i].data() + writes[i].shift));
  call.reads = from, call.writes = to, call.step = twin.at(&step), call.workspace = twin.at(workspace.data()), call.stream = twin.stream();
  kernel->run(call);
  twin.download();
  EXPECT_TRUE(workspace.intact()) << spec.op << " writes outside its workspace";
  std::vector<std::vector<std::byte>> results;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    const Guarded& one = memory[reads.size() + i];
    EXPECT_TRUE(one.intact()) << spec.op << " writes outside an operand";
    results.emplace_back(one.data() + (one.bytes() ? writes[i].shift : 0), one.data() + one.bytes());
  }
  return results;
}

}  // namespace lockstep::test
