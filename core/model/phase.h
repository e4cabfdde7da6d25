#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/attributes.h"

namespace lockstep {

/// How a piece of a layer's work relates to the samples of a batch.
enum class PhaseKind : std::uint8_t {
  rows,      ///< each sample's result is its own
  per_lane,  ///< one result a lane: weight gradients, partial statistics (it may write per-sample outputs too)
  once,      ///< no batch in it: repack a weight, update a moving average
  reduce,    ///< the only place where samples of different lanes meet
};

/// What a phase's operand is, seen from its layer; `index` counts within the role.
enum class Role : std::uint8_t {
  input,               ///< [rows, ...] the layer's input
  output,              ///< [rows, ...]
  input_gradient,      ///< [rows, ...] d loss / d input
  output_gradient,     ///< [rows, ...] d loss / d output
  saved,               ///< [rows, ...] kept from forward to backward (LayerSpec::saved)
  parameter,           ///< whole, f32 or packed by the kernel
  parameter_gradient,  ///< whole; written per lane, summed over the lanes in the fixed tree
  state,               ///< whole (moving averages) or, with scope batch_position, [rows, ...]
  statistic,           ///< f64; written per lane as a partial, read after its reduce as the total of the lane's group
};

struct Operand {
  Role role;
  int index = 0;
  /// For a written gradient: every backend's kernel can add to what is there (WriteMode::accumulate). Where it
  /// cannot, the plan writes to a temporary and adds.
  bool can_accumulate = false;
};

enum class ReduceKind : std::uint8_t {
  add,      ///< element-wise sum
  moments,  ///< [count, mean[C], m2[C]]: combined by Chan et al. 1983, "Algorithms for computing the sample variance"
};

struct Phase {
  PhaseKind kind = PhaseKind::rows;
  std::string op;  ///< the kernel's name in every backend, such as "conv2d.forward"; empty for reduce
  std::vector<Operand> reads;
  std::vector<Operand> writes;  ///< for reduce: the statistics, in `writes` alone
  Attributes attributes;
  /// Floating-point operations a sample, for those whose time may go by them: products. 0 where memory alone counts.
  std::int64_t operations = 0;
  ReduceKind reduce = ReduceKind::add;
  /// reduce: lanes of one group of statistics; 0 takes the whole batch. All lanes of a group share the result.
  int group_lanes = 0;
};

inline Phase rows_phase(std::string op, std::vector<Operand> reads, std::vector<Operand> writes, Attributes attributes = {}) {
  return {.kind = PhaseKind::rows, .op = std::move(op), .reads = std::move(reads), .writes = std::move(writes), .attributes = std::move(attributes)};
}
inline Phase lane_phase(std::string op, std::vector<Operand> reads, std::vector<Operand> writes, Attributes attributes = {}) {
  return {.kind = PhaseKind::per_lane, .op = std::move(op), .reads = std::move(reads), .writes = std::move(writes), .attributes = std::move(attributes)};
}
/// The phase with its operations stated.
inline Phase counted(std::int64_t operations, Phase phase) {
  phase.operations = operations;
  return phase;
}
inline Phase once_phase(std::string op, std::vector<Operand> reads, std::vector<Operand> writes, Attributes attributes = {}) {
  return {.kind = PhaseKind::once, .op = std::move(op), .reads = std::move(reads), .writes = std::move(writes), .attributes = std::move(attributes)};
}
inline Phase reduce_phase(ReduceKind kind, std::vector<int> statistics, int group_lanes = 0) {
  Phase phase{.kind = PhaseKind::reduce, .op = "", .reads = {}, .writes = {}, .attributes = {}, .reduce = kind, .group_lanes = group_lanes};
  for (int index : statistics) phase.writes.push_back({Role::statistic, index});
  return phase;
}

}  // namespace lockstep
