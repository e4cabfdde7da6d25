#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "core/backend/cpu/register.h"
#include "core/backend/cuda/check.h"
#include "core/backend/cuda/register.h"
#include "core/base/philox.h"
#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"

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

/// The operands of one call of an op, bytes of all rows; an empty read is null. The same call on the host's kernel and on
/// the device's.
struct OpCall {
  OpSpec op;
  std::int64_t rows = 1;
  std::vector<Bytes> reads;
  std::vector<Bytes> writes;  ///< what stands there before

  std::vector<Bytes> on_cpu() const {
    std::vector<Bytes> in = reads, out = writes;
    const std::unique_ptr<Kernel> kernel = cpu::kernels().find(op.op)->second(op);
    Bytes workspace(kernel->workspace_bytes() + 64);
    std::vector<const void*> from;
    std::vector<void*> to;
    for (Bytes& bytes : in) from.push_back(bytes.empty() ? nullptr : bytes.data());
    for (Bytes& bytes : out) to.push_back(bytes.data());
    kernel->run({.reads = from, .writes = to, .rows = rows, .workspace = workspace.data()});
    return out;
  }

  /// Every operand begins `shift` elements of its type behind a multiple of 256 bytes (structures, which are i32 here, always
  /// at one), between guard bytes.
  std::vector<Bytes> on_cuda(std::size_t shift = 0) const {
    using cuda::check;
    constexpr std::size_t kGuard = 512;
    const std::unique_ptr<Kernel> kernel = cuda::kernels().find(op.op)->second(op);
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    std::vector<void*> blocks, to;
    std::vector<const void*> from;
    const auto place = [&](const Bytes& bytes, std::size_t element) {
      Bytes image(bytes.size() + 2 * kGuard, std::byte{0xA5});
      const std::size_t begin = kGuard + shift * element - (shift ? 256 : 0);
      std::copy(bytes.begin(), bytes.end(), image.begin() + static_cast<std::ptrdiff_t>(begin));
      void* memory = nullptr;
      check(cudaMalloc(&memory, image.size()), "cudaMalloc");
      check(cudaMemcpyAsync(memory, image.data(), image.size(), cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
      blocks.push_back(memory);
      return static_cast<std::byte*>(memory) + begin;
    };
    const auto unit = [](const OperandSpec& operand) { return operand.spec.dtype == Dtype::i32 ? 0 : size_of(operand.spec.dtype); };
    for (std::size_t i = 0; i < reads.size(); ++i) from.push_back(reads[i].empty() ? nullptr : place(reads[i], unit(op.reads[i])));
    for (std::size_t i = 0; i < writes.size(); ++i) to.push_back(place(writes[i], unit(op.writes[i])));
    kernel->run({.reads = from, .writes = to, .rows = rows, .stream = StreamView{stream}});

    std::vector<Bytes> out;
    for (std::size_t i = 0; i < writes.size(); ++i) {
      Bytes image(writes[i].size() + 2 * kGuard);
      void* const memory = blocks[blocks.size() - writes.size() + i];
      check(cudaMemcpyAsync(image.data(), memory, image.size(), cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
      check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
      const std::ptrdiff_t begin = static_cast<std::byte*>(to[i]) - static_cast<std::byte*>(memory);
      const auto first = image.begin() + begin, last = first + static_cast<std::ptrdiff_t>(writes[i].size());
      const auto guard = [](std::byte b) { return b == std::byte{0xA5}; };
      EXPECT_TRUE(std::all_of(image.begin(), first, guard) && std::all_of(last, image.end(), guard)) << op.op << " writes outside";
      out.emplace_back(first, last);
    }
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    for (void* memory : blocks) check(cudaFree(memory), "cudaFree");
    check(cudaStreamDestroy(stream), "cudaStreamDestroy");
    return out;
  }
};

}  // namespace lockstep::test
