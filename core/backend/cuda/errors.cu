// Sums: a warp takes a row of fewer than kLargeRow elements, else a block of eight warps, each thread every 32nd (256th)
// element, in f64. Backward: eight elements a thread by 16-byte accesses, one where the rows or addresses do not suit.
#include <cmath>

#include "core/backend/cuda/element.h"
#include "core/backend/cuda/register.h"
#include "core/backend/cuda/row_sums.h"

namespace lockstep::cuda {
namespace {

constexpr std::int64_t kLargeRow = 1024;

template <class T>
struct Rows {
  const T* prediction;
  const float* target;
  const float* weights;  ///< or null
  std::int64_t count, elements;

  __device__ double weight(std::int64_t row) const { return weights ? static_cast<double>(weights[row]) : 1.0; }
};

/// [weight * mean over the elements of |p - t| or (p - t)^2, weight] of each row.
template <class T, bool kSquared, bool kLarge>
__global__ void __launch_bounds__(kWarp* kWarpsOfBlock) error_sums(Rows<T> r, RowSum* sums) {
  __shared__ double warps[kWarpsOfBlock];
  const std::int64_t row = kLarge ? static_cast<std::int64_t>(blockIdx.x) : warp_row();
  if (row >= r.count) return;
  const T* const prediction = r.prediction + row * r.elements;
  const float* const target = r.target + row * r.elements;
  double sum = 0.0;
#pragma unroll 4
  for (std::int64_t i = kLarge ? threadIdx.y * kWarp + threadIdx.x : threadIdx.x; i < r.elements;
       i += kLarge ? kWarp * kWarpsOfBlock : kWarp) {
    const double d = static_cast<double>(widen(prediction[i])) - static_cast<double>(target[i]);
    sum += kSquared ? d * d : std::fabs(d);
  }
  sum = warp_sum(sum);
  if constexpr (kLarge) {
    if (threadIdx.x == 0) warps[threadIdx.y] = sum;
    __syncthreads();
    if (threadIdx.y != 0) return;
    sum = 0.0;
    for (unsigned i = 0; i < kWarpsOfBlock; ++i) sum += warps[i];
  }
  if (threadIdx.x == 0) sums[row] = make_double2(sum / static_cast<double>(r.elements) * r.weight(row), r.weight(row));
}

/// `total`: [loss sum, weight sum] of the batch.
template <class T, bool kAccumulate, int W>
__global__ void __launch_bounds__(kWarp* kWarpsOfBlock)
    squared_backward(Rows<T> r, const double* total, const StepBlock* step, T* gradient) {
  const std::int64_t first = (static_cast<std::int64_t>(blockIdx.x) * kWarp * kWarpsOfBlock + threadIdx.y * kWarp + threadIdx.x) * W;
  if (first >= r.count * r.elements) return;
  const double unit = total[1] > 0.0 ? 2.0 * static_cast<double>(step->loss_scale) / (total[1] * static_cast<double>(r.elements)) : 0.0;
  const float factor = static_cast<float>(unit * r.weight(first / r.elements));
  float value[W], other[W];
  if constexpr (W == 8) {
    load8(r.prediction + first, value), load8(r.target + first, other);
  } else {
    value[0] = widen(r.prediction[first]), other[0] = r.target[first];
  }
#pragma unroll
  for (int i = 0; i < W; ++i) value[i] = factor * (value[i] - other[i]);
  if constexpr (kAccumulate) {
    if constexpr (W == 8)
      load8(gradient + first, other);
    else
      other[0] = widen(gradient[first]);
#pragma unroll
    for (int i = 0; i < W; ++i) value[i] = other[i] + value[i];
  }
  if constexpr (W == 8)
    store8(gradient + first, value);
  else
    narrow(gradient[first], value[0]);
}

template <class T>
Rows<T> rows_of(const OpSpec& spec, const KernelCall& call, std::size_t weights) {
  return {static_cast<const T*>(call.reads[0]), static_cast<const float*>(call.reads[1]),
          call.reads.size() > weights ? static_cast<const float*>(call.reads[weights]) : nullptr, call.rows, spec.reads[0].spec.elements()};
}

template <bool kSquared>
void run_sum(const OpSpec& spec, const KernelCall& call) {
  RowSum* const sums = reinterpret_cast<RowSum*>(call.workspace);
  with_element_type(spec, spec.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    const Rows<T> rows = rows_of<T>(spec, call, 2);
    const dim3 block(kWarp, kWarpsOfBlock);
    if (rows.elements < kLargeRow)
      launch(error_sums<T, kSquared, false>, warp_blocks(rows.count), block, call.stream, rows, sums);
    else
      launch(error_sums<T, kSquared, true>, dim3(static_cast<unsigned>(rows.count)), block, call.stream, rows, sums);
  });
  sum_rows(call, sums);
}

void run_squared_backward(const OpSpec& spec, const KernelCall& call) {
  with_element_type(spec, spec.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    const Rows<T> rows = rows_of<T>(spec, call, 3);
    T* const gradient = static_cast<T*>(call.writes[0]);
    const auto aligned = [](const void* address) { return reinterpret_cast<std::uintptr_t>(address) % 16 == 0; };
    const bool vectors = rows.elements % 8 == 0 && aligned(rows.prediction) && aligned(rows.target) && aligned(gradient);
    const bool accumulate = spec.writes[0].mode == WriteMode::accumulate;
    const auto kernel = vectors ? (accumulate ? squared_backward<T, true, 8> : squared_backward<T, false, 8>)
                                : (accumulate ? squared_backward<T, true, 1> : squared_backward<T, false, 1>);
    const std::int64_t items = rows.count * rows.elements / (vectors ? 8 : 1), threads = kWarp * kWarpsOfBlock;
    launch(kernel, dim3(static_cast<unsigned>((items + threads - 1) / threads)), dim3(kWarp, kWarpsOfBlock), call.stream, rows,
           static_cast<const double*>(call.reads[2]), call.step, gradient);
  });
}

const RegisterKernel registered[] = {{"mean_squared_error.forward", simple_kernel(run_sum<true>, row_sums_bytes, true)},
                                     {"mean_squared_error.backward", simple_kernel(run_squared_backward)},
                                     {"mean_absolute_error.sum", simple_kernel(run_sum<false>, row_sums_bytes, true)}};

}  // namespace
}  // namespace lockstep::cuda
