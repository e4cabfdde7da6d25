#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/registry.h"
#include "core/model/phase.h"
#include "core/tensor/tensor.h"

namespace lockstep {

/// Decides weight decay and printing.
enum class ParameterKind : std::uint8_t { weight, bias, norm };

struct ParameterSpec {
  std::string name;  ///< PyTorch's: "weight", "bias"
  Shape shape;
  ParameterKind kind = ParameterKind::weight;
  /// An initializer in run-file notation ("he_normal", { constant = 1.0 }).
  Value initializer = Value::text("zeros");
  std::int64_t fan_in = 1, fan_out = 1;
};

enum class StateScope : std::uint8_t {
  run,             ///< one tensor, equal on all ranks: moving averages
  batch_position,  ///< one per sample position of the global batch: carried recurrent state
};

struct StateSpec {
  std::string name;  ///< "running_mean"
  TensorSpec spec;
  StateScope scope = StateScope::run;
  double initial = 0.0;
};

struct StatisticSpec {
  std::string name;
  std::int64_t size = 0;  ///< doubles
};

/// All that a plan needs to know of a layer at given input shapes. Shapes are of one sample; the batch is implied.
struct LayerSpec {
  std::vector<TensorSpec> outputs;
  std::vector<ParameterSpec> parameters;
  std::vector<StateSpec> state;
  std::vector<TensorSpec> saved;
  std::vector<StatisticSpec> statistics;
  std::vector<Phase> forward;   ///< in training
  std::vector<Phase> backward;  ///< in execution order; phases that write only unwanted gradients are dropped
  std::vector<Phase> evaluate;  ///< in evaluation
};

/// A node's work: options, never memory; it never sees a communicator. Immutable after construction.
class Layer {
 public:
  static constexpr std::string_view kPlugInKind = "layer";

  virtual ~Layer() = default;

  /// `run_file` error, without a place, when the inputs do not fit: `expected [h, w, c], got [784]`.
  virtual LayerSpec describe(std::span<const TensorSpec> inputs) const = 0;

  /// Fusion: a layer that takes in this one's only consumer, or nullptr. `kind` is the consumer's registered name.
  /// The consumer's inputs other than this layer's output become further inputs of the fused layer, in order.
  virtual std::unique_ptr<Layer> absorb(std::string_view kind) const {
    (void)kind;
    return nullptr;
  }
};

/// A loss: a layer whose statistic 0 is [sum of loss * weight, sum of weight] over the batch after its reduce.
/// Inputs: the prediction, then the target. `backward` writes the gradient of sum / weight.
class Loss : public Layer {
 public:
  static constexpr std::string_view kPlugInKind = "loss";
};

/// A metric: `evaluate` phases alone, the reduce of statistic 0 among them. Inputs: the prediction, then the target.
class Metric : public Layer {
 public:
  static constexpr std::string_view kPlugInKind = "metric";
  /// From the totals of a whole pass; the usual one is a weighted mean [numerator, denominator].
  virtual double value(std::span<const double> statistic) const { return statistic[1] > 0 ? statistic[0] / statistic[1] : 0.0; }
  /// Whether a larger value is the better one.
  virtual bool larger_is_better() const { return true; }
};

}  // namespace lockstep
