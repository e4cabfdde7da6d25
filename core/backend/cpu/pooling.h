#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/backend/cpu/element_type.h"
#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"
#include "core/backend/pooling_geometry.h"

namespace lockstep::cpu {

/// A pooling kernel from one function; the workspace is one f32 a channel. `backward` kernels have the image in `writes`.
class PoolingKernel : public Kernel {
 public:
  using Run = void (*)(const PoolingGeometry&, const OpSpec&, const KernelCall&);
  PoolingKernel(const OpSpec& op, Run body, bool backward)
      : op_(op),
        geometry_(backward ? op.writes[0].spec : op.reads[0].spec, backward ? op.reads[0].spec : op.writes[0].spec, op.attributes),
        run_(body) {}

  void run(const KernelCall& call) const override { run_(geometry_, op_, call); }
  std::size_t workspace_bytes() const override { return static_cast<std::size_t>(geometry_.channels) * sizeof(float); }
  std::string implementation() const override { return std::string("own ") + simd_level_name(); }

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

}  // namespace lockstep::cpu
