#include "core/backend/cuda/element.h"
#include "core/backend/cuda/register.h"
#include "core/backend/cuda/row_sums.h"

namespace lockstep::cuda {
namespace {

struct Rows {
  const std::int64_t* labels;
  std::int64_t count, classes, k, first_row;
  std::int64_t* fault;
};

/// [1 where the label is among the k largest logits, 1]; of equal logits the first counts. A logit that is no number makes a miss.
template <class T>
__global__ void __launch_bounds__(kWarp* kWarpsOfBlock) top_k_hits(Rows r, const T* logits, RowSum* sums) {
  const std::int64_t row = warp_row();
  if (row >= r.count) return;
  const T* const z = logits + row * r.classes;
  const std::int64_t label = checked_label(r.labels, row, r.classes, r.first_row, r.fault);
  if (label < 0) {
    if (threadIdx.x == 0) sums[row] = make_double2(0.0, 0.0);
    return;
  }
  const float mine = widen(z[label]);
  std::int64_t before = 0;
#pragma unroll 4
  for (std::int64_t i = threadIdx.x; i < r.classes; i += kWarp) {
    const float other = widen(z[i]);
    before += !(other < mine) && (other != mine || i < label) && i != label ? 1 : 0;
  }
  before = warp_sum(before);
  if (threadIdx.x == 0) sums[row] = make_double2(before < r.k && mine == mine ? 1.0 : 0.0, 1.0);
}

void run_count(const OpSpec& spec, const KernelCall& call) {
  const Rows rows{static_cast<const std::int64_t*>(call.reads[1]),
                  call.rows,
                  spec.reads[0].spec.shape[0],
                  spec.attributes.integer("k"),
                  call.first_row,
                  call.fault};
  RowSum* const sums = reinterpret_cast<RowSum*>(call.workspace);
  with_element_type(spec, spec.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    launch(top_k_hits<T>, warp_blocks(call.rows), dim3(kWarp, kWarpsOfBlock), call.stream, rows, static_cast<const T*>(call.reads[0]),
           sums);
  });
  sum_rows(call, sums);
}

const RegisterKernel registered("top_k.count", simple_kernel(run_count, row_sums_bytes, true));

}  // namespace
}  // namespace lockstep::cuda
