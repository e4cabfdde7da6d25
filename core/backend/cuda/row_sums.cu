#include "core/backend/cuda/row_sums.h"

namespace lockstep::cuda {
namespace {

constexpr unsigned kSumThreads = 256;

__global__ void __launch_bounds__(kSumThreads) sum_lane(LaneCut cut, const RowSum* rows, LaneResult<double> result) {
  __shared__ double numerators[kSumThreads], denominators[kSumThreads];
  const unsigned lane = blockIdx.x, t = threadIdx.x;
  const std::int64_t first = cut.first(lane), count = cut.count(lane);
  double numerator = 0.0, denominator = 0.0;
#pragma unroll 4
  for (std::int64_t i = t; i < count; i += kSumThreads) {
    const RowSum row = rows[first + i];
    numerator += row.x, denominator += row.y;
  }
  numerators[t] = numerator, denominators[t] = denominator;
  for (unsigned half = kSumThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t < half) numerators[t] += numerators[t + half], denominators[t] += denominators[t + half];
  }
  if (t == 0) result.of(lane)[0] = numerators[0], result.of(lane)[1] = denominators[0];
}

}  // namespace

void sum_rows(const KernelCall& call, const RowSum* rows) {
  const LaneCut cut(call);
  launch(sum_lane, dim3(static_cast<unsigned>(cut.lanes)), dim3(kSumThreads), call.stream, cut, rows, LaneResult<double>(call, 0));
}

}  // namespace lockstep::cuda
