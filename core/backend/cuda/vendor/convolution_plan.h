#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/dtype.h"

struct cudnnContext;

namespace lockstep::cuda {

/// A two-dimensional convolution of NHWC activations. Pairs are {height, width}.
struct ConvolutionGeometry {
  using Pair = std::array<std::int64_t, 2>;

  std::int64_t groups = 1, in = 0, out = 0;  ///< channels
  Pair input{1, 1}, output{1, 1}, kernel{1, 1}, stride{1, 1}, pad_low{0, 0}, pad_high{0, 0};
  bool bias = false;

  std::int64_t weights() const { return out * (in / groups) * kernel[0] * kernel[1]; }
};

enum class ConvolutionPass : std::uint8_t { forward, backward_data, backward_weights };

/// What a convolution's plans have in common: all but the number of rows. Weights are [out, kh, kw, in / groups] in the
/// activations' type, a bias too; a weight gradient is f32 where `wide`, else in the activations' type.
struct ConvolutionProblem {
  ConvolutionPass pass = ConvolutionPass::forward;
  ConvolutionGeometry geometry;
  Dtype dtype = Dtype::f32;
  bool tf32 = false;  ///< f32 operands may be multiplied with the mantissa of TF32
  bool wide = false;

  /// One line that tells problems apart, such as `forward f32 28x28x1 28x28x32 3x3/1x1 pad 1,1,1,1 groups 1 bias`.
  std::string text() const;
};

/// An engine of cuDNN and the settings of its knobs. Two plans of equal choices do the same arithmetic on a row,
/// whatever the rows of a call, as far as cuDNN's engines go: the executor's probe has the last word.
struct EngineChoice {
  std::int64_t engine = -1;
  std::map<int, std::int64_t> knobs;  ///< by the number of cudnnBackendKnobType_t

  bool operator==(const EngineChoice&) const = default;
  /// `22:11=1,24=3` and back; `content` error for anything else.
  std::string text() const;
  static EngineChoice parse(std::string_view text);
};

/// What cuDNN says about a choice.
struct EngineFacts {
  EngineChoice choice;
  bool tensor_cores = false, runtime_compiled = false, nondeterministic = false, reduced_precision = false, transformed = false;
  bool narrows_inputs = false;  ///< operands are rounded to a smaller type before they are multiplied
  std::size_t workspace_bytes = 0;

  /// `engine 22`, `engine 2 compiled`.
  std::string name() const;
};

/// The GPU that plans are made for: the one at hand by its handle, or one that is described (cuDNN's device properties
/// as JSON) with no GPU at all.
struct PlanTarget {
  cudnnContext* handle = nullptr;
  std::string properties;
  int sm = 0;  ///< 90 for an H200; for described GPUs
};

/// Device addresses: of the activations on both sides, whichever of the three the pass writes.
struct ConvolutionPointers {
  void *source = nullptr, *weights = nullptr, *destination = nullptr, *bias = nullptr;
};

/// A convolution for one number of rows by one engine of cuDNN, ready to run. Made once; `run` may be called again and
/// again, also while its stream records. Errors are `cuda: cudnn: ...`.
class ConvolutionPlan {
 public:
  /// The first `most` choices, in the order of speed that cuDNN expects for rows[0], that repeat their bits, keep the
  /// precision asked for, serve every number of `rows` and need at most `workspace_limit` bytes. Facts are of rows[0].
  /// Nothing is compiled. 10 ms; the first query of a process, and products that no precompiled engine serves, 0.5 s.
  static std::vector<EngineFacts> candidates(const PlanTarget& target, const ConvolutionProblem& problem,
                                             const std::vector<std::int64_t>& rows, std::size_t workspace_limit, std::size_t most);
  /// The same of one choice; none where it is not usable.
  static std::optional<EngineFacts> usable(const PlanTarget& target, const ConvolutionProblem& problem, const std::vector<std::int64_t>& rows,
                                           std::size_t workspace_limit, const EngineChoice& choice);
  /// Null where the engine refuses. Engines that are compiled at run time take 0.2 to 5 s.
  static std::unique_ptr<ConvolutionPlan> build(const PlanTarget& target, const ConvolutionProblem& problem, std::int64_t rows,
                                                const EngineChoice& choice);
  /// From `bytes()` of an equal plan; null, with the reason, where they are damaged or made for another device or version.
  static std::unique_ptr<ConvolutionPlan> load(const PlanTarget& target, const EngineFacts& facts, const std::vector<std::uint8_t>& bytes,
                                               std::string& why);

  ~ConvolutionPlan();

  const EngineFacts& facts() const;
  std::vector<std::uint8_t> bytes() const;
  /// Queues on the stream that the handle is bound to. Addresses are multiples of 16; `workspace` holds
  /// facts().workspace_bytes.
  void run(cudnnContext* handle, const ConvolutionPointers& at, std::byte* workspace) const;

 private:
  struct Impl;
  explicit ConvolutionPlan(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep::cuda
