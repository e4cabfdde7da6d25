#include "core/backend/cuda/weights.h"

#include <cuda_runtime.h>

#include "core/backend/cuda/element.h"

namespace lockstep::cuda {

namespace {

constexpr unsigned kThreads = 256;
/// column_sums: a block sums kChunk positions of kColumns channels, kRows at a time.
constexpr unsigned kColumns = 32, kRows = 8;
constexpr std::int64_t kChunk = 1024;

unsigned blocks_of(std::int64_t elements, std::int64_t a_block) { return static_cast<unsigned>((elements + a_block - 1) / a_block); }

/// One block row a filter: [in, taps] to [taps, in], or back.
template <class T>
__global__ void pack_kernel(unsigned in, unsigned taps, const float* plain, T* packed) {
  const unsigned element = blockIdx.y * kThreads + threadIdx.x;
  if (element >= in * taps) return;
  const std::size_t filter = static_cast<std::size_t>(blockIdx.x) * in * taps;
  const unsigned tap = element / in, channel = element - tap * in;
  narrow(packed[filter + element], plain[filter + channel * taps + tap]);
}

__global__ void unpack_kernel(unsigned in, unsigned taps, const float* packed, float* plain) {
  const unsigned element = blockIdx.y * kThreads + threadIdx.x;
  if (element >= in * taps) return;
  const std::size_t filter = static_cast<std::size_t>(blockIdx.x) * in * taps;
  const unsigned channel = element / taps, tap = element - channel * taps;
  plain[filter + element] = packed[filter + tap * in + channel];
}

template <class T>
__global__ void widen_kernel(std::int64_t elements, const T* from, float* to) {
  const std::int64_t element = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (element < elements) to[element] = widen(from[element]);
}

template <class T>
__global__ void column_sums_kernel(std::int64_t positions, std::int64_t channels, const T* values, float* partial) {
  __shared__ float sums[kRows][kColumns + 1];
  const std::int64_t channel = static_cast<std::int64_t>(blockIdx.y) * kColumns + threadIdx.x;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kChunk;
  const std::int64_t last = first + kChunk < positions ? first + kChunk : positions;
  float sum = 0;
  if (channel < channels) {
#pragma unroll 8
    for (std::int64_t position = first + threadIdx.y; position < last; position += kRows) sum += widen(values[position * channels + channel]);
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || channel >= channels) return;
  for (unsigned row = 1; row < kRows; ++row) sum += sums[row][threadIdx.x];
  partial[static_cast<std::int64_t>(blockIdx.x) * channels + channel] = sum;
}

__global__ void column_fold_kernel(std::int64_t chunks, std::int64_t channels, const float* partial, float* sums) {
  const std::int64_t channel = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (channel >= channels) return;
  double sum = 0;
#pragma unroll 16
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) sum += static_cast<double>(partial[chunk * channels + channel]);
  sums[channel] = static_cast<float>(sum);
}

template <class Body>
void with_type(Dtype dtype, const Body& body) {
  if (dtype == Dtype::f32) return body(float{});
  if (dtype == Dtype::bf16) return body(BFloat16{});
  if (dtype == Dtype::f16) return body(Float16{});
  fail(ErrorKind::internal, "weights: expected f32, bf16 or f16, got {}", name_of(dtype));
}

}  // namespace

void pack_filters(const FilterShape& shape, const float* plain, Dtype dtype, void* packed, StreamView stream) {
  const dim3 grid(static_cast<unsigned>(shape.out), blocks_of(shape.in * shape.taps, kThreads));
  with_type(dtype, [&](auto type) {
    using T = decltype(type);
    launch(pack_kernel<T>, grid, dim3(kThreads), stream, static_cast<unsigned>(shape.in), static_cast<unsigned>(shape.taps), plain,
           static_cast<T*>(packed));
  });
}

void unpack_filters(const FilterShape& shape, const float* packed, float* plain, StreamView stream) {
  const dim3 grid(static_cast<unsigned>(shape.out), blocks_of(shape.in * shape.taps, kThreads));
  launch(unpack_kernel, grid, dim3(kThreads), stream, static_cast<unsigned>(shape.in), static_cast<unsigned>(shape.taps), packed, plain);
}

void widen_to_f32(std::int64_t elements, Dtype dtype, const void* from, float* to, StreamView stream) {
  with_type(dtype, [&](auto type) {
    using T = decltype(type);
    launch(widen_kernel<T>, dim3(blocks_of(elements, kThreads)), dim3(kThreads), stream, elements, static_cast<const T*>(from), to);
  });
}

std::size_t column_sums_workspace(std::int64_t positions, std::int64_t channels) {
  return static_cast<std::size_t>(blocks_of(positions, kChunk)) * static_cast<std::size_t>(channels) * sizeof(float);
}

void column_sums(std::int64_t positions, std::int64_t channels, Dtype dtype, const void* values, float* sums, std::byte* workspace,
                 StreamView stream) {
  float* const partial = reinterpret_cast<float*>(workspace);
  const dim3 grid(blocks_of(positions, kChunk), blocks_of(channels, kColumns));
  with_type(dtype, [&](auto type) {
    using T = decltype(type);
    launch(column_sums_kernel<T>, grid, dim3(kColumns, kRows), stream, positions, channels, static_cast<const T*>(values), partial);
  });
  launch(column_fold_kernel, dim3(blocks_of(channels, kThreads)), dim3(kThreads), stream, static_cast<std::int64_t>(grid.x), channels,
         static_cast<const float*>(partial), sums);
}

}  // namespace lockstep::cuda
