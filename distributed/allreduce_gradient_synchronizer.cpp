#include "distributed/allreduce_gradient_synchronizer.h"

#include <algorithm>

namespace lockstep {

void AllReduceGradientSynchronizer::reduce(int, std::int64_t elements, std::span<const NodeGradient> nodes, float* result, StreamView) {
  if (nodes.empty()) std::fill_n(result, elements, 0.0f);
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    if (n > 0)
      combine_add(result, nodes[n].data, elements);
    else if (nodes[n].data != result)
      std::copy_n(nodes[n].data, elements, result);
  }
  communicator_.all_reduce_sum(result, elements);
}

}  // namespace lockstep
