#include "tests/support/simt/lent_kernels.h"

#include <memory>
#include <vector>

#include "core/backend/cpu/thread_pool.h"
#include "core/backend/cuda/check.h"
#include "core/backend/cuda/register.h"
#include "core/base/registry.h"
#include "core/tensor/float16.h"
#include "tests/support/cuda_backend.h"
#include "tests/support/simt/fake_runtime.h"

namespace lockstep::simt {

namespace {

/// An f16 operand as the CPU sees it.
struct Widened {
  std::vector<float> values;
  Widened(const void* from, std::int64_t elements) : values(static_cast<std::size_t>(elements)) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = to_float(static_cast<const Float16*>(from)[i]);
  }
  void narrow_to(void* target) const {
    for (std::size_t i = 0; i < values.size(); ++i) store(static_cast<Float16*>(target)[i], values[i]);
  }
};

class LentKernel : public Kernel {
 public:
  explicit LentKernel(const OpSpec& spec) : spec_(spec), independent_(lent_kernels().rows_are_independent) {
    OpSpec plain = spec;
    for (auto* operands : {&plain.reads, &plain.writes})
      for (OperandSpec& operand : *operands)
        if (operand.spec.dtype == Dtype::f16) operand.spec.dtype = Dtype::f32;
    kernel_ = test::cpu_backend().make(plain);
  }

  void run(const KernelCall& call) const override {
    require(call.lanes == 1, "lent kernel: {} lanes in a call", call.lanes);
    queue(call.stream, [kernel = kernel_, spec = spec_, call, reads = std::vector(call.reads.begin(), call.reads.end()),
                        writes = std::vector(call.writes.begin(), call.writes.end())] {
      std::vector<const void*> from = reads;
      std::vector<void*> to = writes;
      std::vector<std::unique_ptr<Widened>> wide;
      const auto widen = [&](const void* operand, const OperandSpec& of) -> float* {
        wide.push_back(std::make_unique<Widened>(operand, of.spec.elements() * call.rows));
        return wide.back()->values.data();
      };
      for (std::size_t i = 0; i < from.size(); ++i)
        if (spec.reads[i].spec.dtype == Dtype::f16) from[i] = widen(from[i], spec.reads[i]);
      const std::size_t results = wide.size();
      for (std::size_t i = 0; i < to.size(); ++i)
        if (spec.writes[i].spec.dtype == Dtype::f16 && to[i]) to[i] = widen(to[i], spec.writes[i]);
      KernelCall now = call;
      now.reads = from, now.writes = to;
      now.stream = {};
      kernel->run(now);
      std::size_t next = results;
      for (std::size_t i = 0; i < to.size(); ++i)
        if (spec.writes[i].spec.dtype == Dtype::f16 && writes[i]) wide[next++]->narrow_to(writes[i]);
    });
  }
  std::size_t workspace_bytes() const override { return kernel_->workspace_bytes(); }
  bool rows_are_independent() const override { return independent_; }
  std::string implementation() const override { return "lent " + kernel_->implementation(); }

  std::size_t packed_bytes(int read) const override { return kernel_->packed_bytes(read); }
  void pack(int read, const float* plain, std::byte* packed, StreamView stream) const override {
    queue(stream, [=, kernel = kernel_] { kernel->pack(read, plain, packed, {}); });
  }
  std::int64_t slot_elements(int write) const override { return kernel_->slot_elements(write); }
  void unpack(int write, const float* slot, float* plain, StreamView stream) const override {
    queue(stream, [=, kernel = kernel_] { kernel->unpack(write, slot, plain, {}); });
  }

 private:
  void queue(StreamView stream, std::function<void()> work) const {
    cuda::check(enqueue(cuda::native(stream),
                        [work = std::move(work)] {
                          cpu::prepare_thread();
                          work();
                        }),
                "lent kernel");
  }

  OpSpec spec_;
  bool independent_;
  std::shared_ptr<Kernel> kernel_;  ///< shared with queued and recorded calls
};

const bool registered = [] {
  for (const char* op : {"conv2d", "dense"})
    for (const char* pass : {".forward", ".backward_data", ".backward_weights"})
      cuda::kernels().emplace(std::string(op) + pass, [](const OpSpec& spec) { return std::make_unique<LentKernel>(spec); });
  return true;
}();

}  // namespace

LentKernels& lent_kernels() {
  static LentKernels settings;
  return settings;
}

}  // namespace lockstep::simt
