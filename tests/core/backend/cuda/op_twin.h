#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/philox.h"
#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"
#include "tests/support/cuda_backend.h"
#include "tests/support/op_case.h"

namespace lockstep::test {

using Bytes = std::vector<std::byte>;

/// Floats in an operand's element type, and back.
inline Bytes as_bytes(const std::vector<float>& values, Dtype dtype) {
  Bytes result(values.size() * size_of(dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::byte* const at = result.data() + i * size_of(dtype);
    if (dtype == Dtype::f32) store(*reinterpret_cast<float*>(at), values[i]);
    if (dtype == Dtype::bf16) store(*reinterpret_cast<BFloat16*>(at), values[i]);
    if (dtype == Dtype::f16) store(*reinterpret_cast<Float16*>(at), values[i]);
  }
  return result;
}
inline std::vector<float> as_floats(const Bytes& bytes, Dtype dtype) {
  std::vector<float> result(bytes.size() / size_of(dtype));
  for (std::size_t i = 0; i < result.size(); ++i) {
    const std::byte* const at = bytes.data() + i * size_of(dtype);
    if (dtype == Dtype::f32) result[i] = *reinterpret_cast<const float*>(at);
    if (dtype == Dtype::bf16) result[i] = to_float(*reinterpret_cast<const BFloat16*>(at));
    if (dtype == Dtype::f16) result[i] = to_float(*reinterpret_cast<const Float16*>(at));
  }
  return result;
}
/// Multiples of 1/8 in [-2, 2): all types hold them, and many are equal.
inline std::vector<float> eighths(std::int64_t count, std::uint64_t stream) {
  std::vector<float> result(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = static_cast<float>(Philox::draw(i, stream, 7).w[0] % 32) / 8.0f - 2.0f;
  return result;
}

/// The operands of one call of an op, bytes of all rows; an empty read is null. The same call on both devices.
struct OpCall {
  OpSpec op;
  std::int64_t rows = 1;
  std::vector<Bytes> reads;
  std::vector<Bytes> writes;  ///< what stands there before

  std::vector<Bytes> on_cpu() const { return on(cpu_backend(), 0); }
  /// Every operand begins `shift` elements of its type behind a multiple of 256 bytes; structures, which are i32 here, at one.
  std::vector<Bytes> on_cuda(std::size_t shift = 0) const { return on(cuda_backend(), shift); }

 private:
  std::vector<Bytes> on(Backend& backend, std::size_t shift) const {
    const auto skew = [&](const OperandSpec& operand) {
      return operand.spec.dtype == Dtype::i32 ? 0 : shift * size_of(operand.spec.dtype);
    };
    OpCase one(backend, op);
    for (std::size_t i = 0; i < reads.size(); ++i) {
      if (reads[i].empty())
        one.read_null();
      else
        one.read(reads[i], skew(op.reads[i]));
    }
    for (std::size_t i = 0; i < writes.size(); ++i) one.write(writes[i], skew(op.writes[i]));
    one.run({.rows = rows});
    std::vector<Bytes> results;
    for (std::size_t i = 0; i < writes.size(); ++i) results.push_back(one.written<std::byte>(i));
    return results;
  }
};

}  // namespace lockstep::test
