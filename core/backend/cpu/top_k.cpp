#include "core/backend/cpu/labels.h"
#include "core/backend/cpu/register.h"
#include "core/tensor/bfloat16.h"

namespace lockstep::cpu {
namespace {

/// [samples whose label is among the k largest logits, samples]. A logit that is no number makes a miss.
template <class T>
void count(const OpSpec& spec, const KernelCall& call) {
  const std::int64_t classes = spec.reads[0].spec.shape[0], k = spec.attributes.integer("k");
  const T* logits = static_cast<const T*>(call.reads[0]);
  const std::int64_t* labels = checked_labels(spec, call, classes);
  double hits = 0;
  for (std::int64_t r = 0; r < call.rows; ++r) {
    const T* z = logits + r * classes;
    const float mine = to_float(z[labels[r]]);
    std::int64_t before = 0;
    for (std::int64_t i = 0; i < classes; ++i) {
      const float other = to_float(z[i]);
      before += !(other < mine) && (other != mine || i < labels[r]) && i != labels[r] ? 1 : 0;
    }
    hits += before < k && mine == mine ? 1 : 0;
  }
  double* out = static_cast<double*>(call.writes[0]);
  out[0] = hits;
  out[1] = static_cast<double>(call.rows);
}

void run_count(const OpSpec& spec, const KernelCall& call) {
  spec.reads[0].spec.dtype == Dtype::bf16 ? count<BFloat16>(spec, call) : count<float>(spec, call);
}

const RegisterKernel registered("top_k.count", simple_kernel(run_count));

}  // namespace
}  // namespace lockstep::cpu
