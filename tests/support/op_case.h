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
