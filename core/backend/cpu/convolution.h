#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/backend/cpu/onednn.h"
#include "core/backend/cpu/pixels.h"
#include "core/backend/kernel.h"

namespace lockstep::cpu {

/// A two-dimensional convolution of NHWC activations. Pairs are {height, width}.
struct ConvolutionGeometry {
  using Pair = std::array<std::int64_t, 2>;

  std::int64_t groups = 1, in = 0, out = 0;  ///< channels
  Pair input{1, 1}, output{1, 1}, kernel{1, 1}, stride{1, 1}, pad_low{0, 0}, pad_high{0, 0};
  bool bias = false;
  /// A call's rows lie along the width of one image instead of being images: how a dense layer is posed. It is the same
  /// memory, keeps the bits of a row independent of the call's size, and is faster than oneDNN's matmul.
  bool rows_along_width = false;
};

enum class ConvolutionPass : std::uint8_t { forward, backward_data, backward_weights };

/// oneDNN's convolution as a kernel. Operands: forward reads input, weight[, bias], writes output; backward_data reads
/// output gradient, weight, writes input gradient; backward_weights reads input, output gradient, writes the gradients of
/// weight[, bias]. Weights are packed in the layout that oneDNN likes best, the same for every number of rows; so are
/// their gradients. A primitive is bound to its number of rows, and with it sometimes the order of its sums; so a call's
/// rows run lane by lane, from its first row, and a sample's bits depend on the rows of its lane alone. That costs nothing:
/// a lane's activations stay in the cache. The primitive for lane_rows is made at once, others (a short last lane) at
/// their first call. Two things are staged in the workspace: bf16 that the processor cannot multiply is computed in f32
/// and rounded, and strided 1x1 convolutions for which oneDNN has no kernel of their own run over the pixels they read. An input
/// gradient that is added to is made in the workspace first.
class Convolution : public Kernel {
 public:
  Convolution(const OpSpec& spec, const ConvolutionGeometry& geometry, ConvolutionPass pass);

  void run(const KernelCall& call) const override;
  std::size_t workspace_bytes() const override;
  std::string implementation() const override { return implementation_; }
  std::size_t packed_bytes(int read) const override;
  void pack(int read, const float* plain, std::byte* packed, StreamView stream) const override;
  std::int64_t slot_elements(int write) const override;
  void unpack(int write, const float* slot, float* plain, StreamView stream) const override;

 private:
  struct Made;
  Made choose();
  Made make(std::int64_t rows, dnnl::memory::data_type type, const dnnl::memory::desc& weights) const;
  const Executable& executable(std::int64_t rows) const;
  struct Operands;
  void run_lane(const Operands& at, std::int64_t rows, std::byte* workspace) const;
  std::size_t staged_bytes(bool source, std::int64_t rows) const;
  std::size_t source_bytes(std::int64_t rows) const;
  dnnl::memory::desc plain_weights() const;

  std::string where_;
  ConvolutionGeometry geometry_;
  ConvolutionPass pass_;
  std::int64_t lane_rows_, max_rows_;  ///< one call of backward_weights is one lane
  Dtype dtype_;                        ///< of the operands
  Dtype computed_;                     ///< of the primitive: f32 where bf16 is emulated
  bool accumulate_ = false;            ///< backward_data
  bool compacted_ = false;             ///< the primitive sees the grid's pixels of the source alone
  PixelGrid source_;                   ///< of one row
  dnnl::memory::desc weights_;
  Reorder reorder_;  ///< pack, or unpack for backward_weights
  std::string implementation_;
  std::size_t scratch_bytes_ = 0;
  mutable std::mutex mutex_;
  mutable std::map<std::int64_t, std::unique_ptr<Executable>> executables_;
};

}  // namespace lockstep::cpu
