#include <cstring>

#include "core/backend/cpu/register.h"
#include "core/base/error.h"
#include "core/model/lane_tree.h"

namespace lockstep::cpu {
namespace {
template <class T, class Combine>
void fold_items(const OpSpec& op, const KernelCall& call, const Combine& combine_items) {
  const auto& spans = op.attributes.integers("nodes");
  const std::int64_t stride = op.attributes.integer("stride"), n = call.rows;
  const bool sequential = op.attributes.integer("sequential") != 0;
  std::vector<std::vector<T>> stack;
  FoldStack order(static_cast<int>(op.attributes.integer("lanes")));
  for (std::size_t i = 0; i < spans.size() / 2; ++i) {
    const T* item = static_cast<const T*>(call.reads[0]) + static_cast<std::int64_t>(i) * stride;
    stack.emplace_back(item, item + n);
    int merges = sequential ? (i > 0) : order.push({static_cast<int>(spans[2 * i]), static_cast<int>(spans[2 * i + 1])}).merges;
    for (; merges > 0; --merges) {
      combine_items(stack[stack.size() - 2].data(), stack.back().data(), n);
      stack.pop_back();
    }
  }
  require(stack.size() == 1, "{}: no node", op.op);
  std::memcpy(call.writes[0], stack[0].data(), static_cast<std::size_t>(n) * sizeof(T));
}
const RegisterKernel registered[] = {
    {"fold.add_f32", simple_kernel([](const OpSpec& op, const KernelCall& call) { fold_items<float>(op, call, combine_add); })},
    {"fold.add", simple_kernel([](const OpSpec& op, const KernelCall& call) {
       fold_items<double>(op, call, [](double* a, const double* b, std::int64_t n) { combine(ReduceKind::add, a, b, n); });
     })},
    {"fold.moments", simple_kernel([](const OpSpec& op, const KernelCall& call) {
       fold_items<double>(op, call, [](double* a, const double* b, std::int64_t n) { combine(ReduceKind::moments, a, b, n); });
     })}};
}  // namespace
}  // namespace lockstep::cpu
