#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "core/backend/kernel.h"
#include "core/tensor/dtype.h"
#include "tests/support/cuda_backend.h"
#include "tests/support/layer_case.h"

namespace lockstep::test {

/// What `expect_like_cpu` compares, and how closely.
struct LikeCpu {
  std::vector<Dtype> dtypes = {Dtype::f32, Dtype::bf16, Dtype::f16};
  std::vector<int> f32_inputs;  ///< inputs that stay f32 in the 16-bit types (targets, weights)
  std::int64_t rows = 6;
  int lanes = 4;
  std::int64_t first_row = 0;
  std::int64_t integer_limit = 3;
  /// Relative to the largest value of the operand; f16 is compared with the CPU's f32 on rounded operands. 0 asks for the
  /// same bits (f32 and bf16).
  double f32_tolerance = 1e-5, bf16_tolerance = 1.0 / 128, f16_tolerance = 1.0 / 512;
  std::function<void(LayerCase&)> prepare;  ///< further settings and operands, of both sides alike
};

/// Runs a layer, loss or metric on the CPU and on CUDA with the same operands, forward, backward and evaluate, and compares
/// all results and statistics. On CUDA also: the same bits twice, with few rows a call, with lanes alone and together;
/// accumulating and skipping. `make` is called twice a type. `inputs` as for f32.
///
///   expect_like_cpu([] { return make_from<Layer>("relu"); }, {{{5, 3, 8}}});
///   expect_like_cpu([] { return make_from<Loss>({{"cross_entropy", Value::text("target")}}); }, {{{10}}, {{}, Dtype::i64}}, {.lanes = 3});
void expect_like_cpu(const std::function<std::unique_ptr<const Layer>()>& make, const std::vector<TensorSpec>& inputs, const LikeCpu& how = {});

/// One kernel on arrays of its own, on any backend: how ops without a layer are tested. Operands are added in their order.
///
///   OpCase c(backend, {.op = "gradient.add", .kind = PhaseKind::rows, .reads = {...}, .writes = {...}});
///   c.read(std::vector<float>{...}), c.write(std::vector<float>{...});
///   c.run({.rows = 3});
///   c.written<float>(0);
class OpCase {
 public:
  OpCase(Backend& backend, OpSpec spec);

  template <class T>
  void read(const std::vector<T>& values) {
    reads_.push_back(bytes_of(values));
  }
  void read_null() { reads_.push_back(nullptr); }
  template <class T>
  void write(const std::vector<T>& before) {
    writes_.push_back(bytes_of(before));
  }
  void write_null() { writes_.push_back(nullptr); }
  /// `call` says rows, first_row and lanes; the rest is filled in.
  void run(KernelCall call);
  template <class T>
  std::vector<T> written(std::size_t index) const {
    const Guarded& memory = *writes_.at(index);
    std::vector<T> values(memory.bytes() / sizeof(T));
    std::copy_n(memory.data(), values.size() * sizeof(T), reinterpret_cast<std::byte*>(values.data()));
    return values;
  }
  const Kernel& kernel() const { return *kernel_; }

  StepBlock step;
  std::int64_t fault = 0;

 private:
  template <class T>
  static std::unique_ptr<Guarded> bytes_of(const std::vector<T>& values) {
    static_assert(std::is_trivially_copyable_v<T>);
    auto memory = std::make_unique<Guarded>(values.size() * sizeof(T));
    std::copy_n(reinterpret_cast<const std::byte*>(values.data()), memory->bytes(), memory->data());
    return memory;
  }
  std::string op_;
  std::unique_ptr<Kernel> kernel_;
  DeviceTwin twin_;
  std::vector<std::unique_ptr<Guarded>> reads_, writes_;
};

}  // namespace lockstep::test
