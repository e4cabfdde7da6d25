#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/backend/cuda/vendor/convolution_plan.h"
#include "core/backend/cuda/weights.h"
#include "core/backend/kernel.h"
#include "core/device/device.h"

namespace lockstep::cuda {

/// cuDNN's convolution as a kernel. Operands: forward reads input, weight[, bias], writes output; backward_data reads
/// output gradient, weight, writes input gradient; backward_weights reads input, output gradient, writes the gradients of
/// weight[, bias]. Weights are packed as [out, kh, kw, in] in the activations' type; so are their gradients' slots, in f32.
///
/// One engine with one setting of its knobs serves all numbers of rows: cuDNN's first choice for kReferenceLanes lanes that is
/// deterministic and serves one lane and one row too, or what the plan store says. So it does not depend on the ranks that share a
/// batch. Longer calls are made in pieces. Attribute "tf32" = 1 lets f32 be multiplied as TF32. Plans for a lane and for the
/// largest piece are made at once; others (a short last batch) at their first call, which must not be while recording.
class Convolution : public Kernel {
 public:
  /// Lanes of the call that engines are chosen for, whatever the lanes of a rank.
  static constexpr std::int64_t kReferenceLanes = 16;

  Convolution(const OpSpec& spec, const ConvolutionGeometry& geometry, ConvolutionPass pass);
  ~Convolution() override;

  void run(const KernelCall& call) const override;
  std::size_t workspace_bytes() const override { return workspace_bytes_; }
  bool rows_are_independent() const override { return false; }
  std::string implementation() const override;
  std::size_t packed_bytes(int read) const override;
  std::string packed_layout(int read) const override;
  void pack(int read, const float* plain, std::byte* packed, StreamView stream) const override;
  std::int64_t slot_elements(int write) const override;
  void unpack(int write, const float* slot, float* plain, StreamView stream) const override;

 private:
  struct Extra;
  /// Where the parts of a call's workspace begin.
  struct Parts {
    std::size_t gradient = 0, sums = 0, source = 0, destination = 0, end = 0;
  };

  void choose();
  void run_piece(const KernelCall& call, ConvolutionPointers at, std::int64_t rows) const;
  Parts parts(std::int64_t rows) const;
  const ConvolutionPlan& plan(std::int64_t rows) const;
  std::byte* extra_workspace(std::size_t bytes, StreamView stream) const;
  void run_bias(const KernelCall& call, const void* gradient, std::byte* workspace) const;
  std::size_t source_bytes(std::int64_t rows) const;
  std::size_t destination_bytes(std::int64_t rows) const;
  FilterShape filters() const;

  std::string where_;
  ConvolutionProblem problem_;
  std::int64_t lane_rows_, max_rows_;
  std::int64_t piece_rows_;  ///< the most rows of one plan
  bool bias_;         ///< of the call; the problem's is the plan's own
  bool staged_;       ///< calls may begin at addresses that are no multiple of 16
  EngineFacts facts_;
  std::size_t workspace_bytes_ = 0, plan_bytes_ = 0;
  mutable std::mutex mutex_;
  mutable std::map<std::int64_t, const ConvolutionPlan*> plans_;
  mutable std::map<void*, std::vector<std::unique_ptr<Extra>>> extra_;  ///< growing, by stream; recordings use the smaller ones on
};

}  // namespace lockstep::cuda
