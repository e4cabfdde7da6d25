#pragma once

#include <memory>
#include <string>
#include <type_traits>

#include "core/backend/cuda/register.h"
#include "core/backend/cuda/row_parts.h"
#include "core/backend/pooling_geometry.h"

namespace lockstep::cuda {

/// One thread's place in a [rows, height, width, channels] tensor, channels in groups.
struct PoolingPlace {
  __device__ PoolingPlace(unsigned item, unsigned groups, unsigned width, unsigned height) {
    const unsigned pixel = item / groups, line = pixel / width;
    group = item - pixel * groups;
    w = static_cast<std::int32_t>(pixel - line * width);
    row = line / height;
    h = static_cast<std::int32_t>(line - row * height);
  }
  unsigned group, row;
  std::int32_t h, w;
};

/// A pooling kernel from one function. `backward` kernels have the image in `writes`.
class PoolingKernel : public Kernel {
 public:
  using Run = void (*)(const PoolingGeometry&, const OpSpec&, const KernelCall&);
  PoolingKernel(const OpSpec& op, Run body, bool backward)
      : op_(op),
        geometry_(backward ? op.writes[0].spec : op.reads[0].spec, backward ? op.reads[0].spec : op.writes[0].spec, op.attributes),
        run_(body) {
    require_fits(op, std::max(geometry_.inputs(), geometry_.outputs()));
  }

  void run(const KernelCall& call) const override { run_(geometry_, op_, call); }
  std::string implementation() const override { return "own cuda"; }

 private:
  OpSpec op_;
  PoolingGeometry geometry_;
  Run run_;
};

inline MakeKernel pooling_forward(PoolingKernel::Run run) {
  return [=](const OpSpec& op) { return std::make_unique<PoolingKernel>(op, run, false); };
}
inline MakeKernel pooling_backward(PoolingKernel::Run run) {
  return [=](const OpSpec& op) { return std::make_unique<PoolingKernel>(op, run, true); };
}

/// Calls body(std::integral_constant<int, WIDTH>, first_row, rows) for the parts of a call: WIDTH channels a thread.
template <class Body>
void in_pooling_parts(const PoolingGeometry& g, const KernelCall& call, bool vectors, const Body& body) {
  in_parts(call.rows, std::max(g.inputs(), g.outputs()), [&](std::int64_t first, std::int64_t rows) {
    if (vectors)
      body(std::integral_constant<int, 8>{}, first, rows);
    else
      body(std::integral_constant<int, 1>{}, first, rows);
  });
}

}  // namespace lockstep::cuda
