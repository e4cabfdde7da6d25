// A warp takes a row, f32 inside it and f64 for what rows add up to. Formulas as in core/losses/cross_entropy.cpp.
#include "core/backend/cuda/element.h"
#include "core/backend/cuda/register.h"
#include "core/backend/cuda/row_sums.h"
#include "core/base/math.h"

namespace lockstep::cuda {
namespace {

template <class T>
__device__ float largest(const T* z, std::int64_t k) {
  float most = -__builtin_huge_valf();
#pragma unroll 4
  for (std::int64_t i = threadIdx.x; i < k; i += kWarp) {
    const float value = widen(z[i]);
    most = value > most ? value : most;
  }
  for (int distance = 16; distance > 0; distance /= 2) {
    const float other = __shfl_xor_sync(~0u, most, distance);
    most = other > most ? other : most;
  }
  return most;
}

/// The sum of exp(z - most).
template <class T>
__device__ float partition(const T* z, std::int64_t k, float most) {
  float sum = 0.0f;
#pragma unroll 4
  for (std::int64_t i = threadIdx.x; i < k; i += kWarp) sum += exponential(widen(z[i]) - most);
  return warp_sum(sum);
}

template <class T>
struct Rows {
  const T* logits;
  const std::int64_t* labels;
  const float* weights;  ///< or null
  std::int64_t count, classes, first_row;
  std::int64_t* fault;
  double smoothing;

  __device__ double weight(std::int64_t row) const { return weights ? static_cast<double>(weights[row]) : 1.0; }
};

template <class T>
__global__ void __launch_bounds__(kWarp* kWarpsOfBlock) cross_entropy_forward(Rows<T> r, RowSum* sums) {
  const std::int64_t row = warp_row();
  if (row >= r.count) return;
  const T* const z = r.logits + row * r.classes;
  const std::int64_t label = checked_label(r.labels, row, r.classes, r.first_row, r.fault);
  if (label < 0) {
    if (threadIdx.x == 0) sums[row] = make_double2(0.0, 0.0);
    return;
  }
  const float most = largest(z, r.classes);
  const double log_sum = static_cast<double>(most) + static_cast<double>(logarithm(partition(z, r.classes, most)));
  double sample = (1.0 - r.smoothing) * (log_sum - static_cast<double>(widen(z[label])));
  if (r.smoothing > 0.0) {
    double mean = 0.0;
    for (std::int64_t i = threadIdx.x; i < r.classes; i += kWarp) mean += static_cast<double>(widen(z[i]));
    sample += r.smoothing * (log_sum - warp_sum(mean) / static_cast<double>(r.classes));
  }
  if (threadIdx.x == 0) sums[row] = make_double2(sample * r.weight(row), r.weight(row));
}

/// `total`: [loss sum, weight sum] of the batch.
template <class T, bool kAccumulate>
__global__ void __launch_bounds__(kWarp* kWarpsOfBlock)
    cross_entropy_backward(Rows<T> r, const double* total, const StepBlock* step, T* gradient) {
  const std::int64_t row = warp_row();
  if (row >= r.count) return;
  const T* const z = r.logits + row * r.classes;
  T* const g = gradient + row * r.classes;
  const std::int64_t label = checked_label(r.labels, row, r.classes, r.first_row, r.fault);
  const double unit = total[1] > 0.0 && label >= 0 ? static_cast<double>(step->loss_scale) / total[1] : 0.0;
  const float factor = static_cast<float>(unit * r.weight(row));
  const float even = static_cast<float>(r.smoothing / static_cast<double>(r.classes)), sure = static_cast<float>(1.0 - r.smoothing);
  const float most = largest(z, r.classes), inverse = 1.0f / partition(z, r.classes, most);
#pragma unroll 4
  for (std::int64_t i = threadIdx.x; i < r.classes; i += kWarp) {
    const float target = even + (i == label ? sure : 0.0f);
    const float value = label < 0 ? 0.0f : factor * (exponential(widen(z[i]) - most) * inverse - target);
    narrow(g[i], kAccumulate ? widen(g[i]) + value : value);
  }
}

template <class T>
Rows<T> rows_of(const OpSpec& spec, const KernelCall& call, std::size_t weights) {
  return {static_cast<const T*>(call.reads[0]),
          static_cast<const std::int64_t*>(call.reads[1]),
          call.reads.size() > weights ? static_cast<const float*>(call.reads[weights]) : nullptr,
          call.rows,
          spec.reads[0].spec.shape[0],
          call.first_row,
          call.fault,
          spec.attributes.real("label_smoothing")};
}

void run_forward(const OpSpec& spec, const KernelCall& call) {
  RowSum* const sums = reinterpret_cast<RowSum*>(call.workspace);
  with_element_type(spec, spec.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    launch(cross_entropy_forward<T>, warp_blocks(call.rows), dim3(kWarp, kWarpsOfBlock), call.stream, rows_of<T>(spec, call, 2), sums);
  });
  sum_rows(call, sums);
}

void run_backward(const OpSpec& spec, const KernelCall& call) {
  with_element_type(spec, spec.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    const bool accumulate = spec.writes[0].mode == WriteMode::accumulate;
    launch(accumulate ? cross_entropy_backward<T, true> : cross_entropy_backward<T, false>, warp_blocks(call.rows),
           dim3(kWarp, kWarpsOfBlock), call.stream, rows_of<T>(spec, call, 3), static_cast<const double*>(call.reads[2]), call.step,
           static_cast<T*>(call.writes[0]));
  });
}

const RegisterKernel registered[] = {{"cross_entropy.forward", simple_kernel(run_forward, row_sums_bytes, true)},
                                     {"cross_entropy.backward", simple_kernel(run_backward)}};

}  // namespace
}  // namespace lockstep::cuda
