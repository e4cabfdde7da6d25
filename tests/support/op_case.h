#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "core/backend/backend.h"
#include "tests/support/device_twin.h"

namespace lockstep::test {

/// One kernel on arrays of its own, on any backend: how ops without a layer are tested. Operands are added in their order.
///
///   OpCase c(backend, {.op = "gradient.add", .kind = PhaseKind::rows, .reads = {...}, .writes = {...}});
///   c.read(std::vector<float>{...}), c.write(std::vector<float>{...});
///   c.run({.rows = 3});
///   c.written<float>(0);
class OpCase {
 public:
  OpCase(Backend& backend, OpSpec spec);

  /// `skew`: bytes between the operand and a multiple of 256.
  template <class T>
  void read(const std::vector<T>& values, std::size_t skew = 0) {
    reads_.push_back(bytes_of(values, skew));
  }
  void read_null() { reads_.push_back({}); }
  template <class T>
  void write(const std::vector<T>& before, std::size_t skew = 0) {
    writes_.push_back(bytes_of(before, skew));
  }
  void write_null() { writes_.push_back({}); }
  /// Read number `index` is written, in place.
  void write_read(std::size_t index) { writes_.push_back(reads_.at(index)); }
  /// `call` says rows, first_row and lanes; the rest is filled in.
  void run(KernelCall call);
  template <class T>
  std::vector<T> written(std::size_t index) const {
    const Operand& operand = writes_.at(index);
    std::vector<T> values((operand.memory->bytes() - operand.skew) / sizeof(T));
    std::copy_n(operand.data(), values.size() * sizeof(T), reinterpret_cast<std::byte*>(values.data()));
    return values;
  }
  const Kernel& kernel() const { return *kernel_; }

  StepBlock step;
  std::int64_t fault = 0;

 private:
  struct Operand {
    std::byte* data() const { return memory ? memory->data() + skew : nullptr; }
    std::shared_ptr<Guarded> memory;  // also of a write in place; null for no operand
    std::size_t skew = 0;
  };
  template <class T>
  static Operand bytes_of(const std::vector<T>& values, std::size_t skew) {
    static_assert(std::is_trivially_copyable_v<T>);
    Operand operand{std::make_shared<Guarded>(skew + values.size() * sizeof(T)), skew};
    std::copy_n(reinterpret_cast<const std::byte*>(values.data()), values.size() * sizeof(T), operand.data());
    return operand;
  }
  std::string op_;
  std::unique_ptr<Kernel> kernel_;
  DeviceTwin twin_;
  std::vector<Operand> reads_, writes_;
};

}  // namespace lockstep::test
