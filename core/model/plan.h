#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/backend/engine_ops.h"
#include "core/backend/kernel.h"
#include "core/model/graph.h"
#include "core/model/lane_tree.h"
#include "core/model/precision.h"

namespace lockstep {

struct PlanOptions {
  Precision precision = Precision::f32;
  std::int64_t global_batch = 0;
  int lanes = 16;
  std::int64_t bucket_bytes = 4 << 20;  ///< gradients reduced at once
  std::int64_t block_elements = 16384;  ///< longest block of the parameter arena
};

/// A parameter tensor in the arena. Parameters lie in backward order: those whose gradients come first lie first.
struct PlanParameter {
  std::string name;  ///< "head.weight"
  ParameterSpec spec;
  int node = -1;
  std::int64_t offset = 0;  ///< elements into every arena; a multiple of 16
  int uses = 1;             ///< layers that share it
  int bucket = 0;
};

/// A run of the gradient arena that is reduced at once.
struct Bucket {
  std::int64_t offset = 0, elements = 0;
  int first_parameter = 0, last_parameter = 0;  ///< [first, last)
};

struct PlanState {
  std::string name;  ///< "stem.batch_norm.running_mean"
  StateSpec spec;
  int node = -1;
};

struct PlanStatistic {
  std::string name;
  std::int64_t size = 0;
  int node = -1;
  int index = 0;  ///< within the node
  int group_lanes = 0;
};

enum class Placement : std::uint8_t {
  slot,      ///< the batch slot: an input of the model
  arena,     ///< the activation arena, at offset * rows of the rank
  scratch,   ///< a worker's scratch: lives inside one segment, one tile at a time
};

/// Per-sample memory: an activation, a gradient of one, a saved tensor, a temporary.
struct PlanBuffer {
  std::string name;
  TensorSpec spec;  ///< of one sample
  Placement placement = Placement::arena;
  std::int64_t offset = 0;  ///< bytes per sample into arena or scratch, a multiple of 64; or the slot's input number
};

enum class PlanRole : std::uint8_t { buffer, parameter, gradient, state, statistic };

struct PlanOperand {
  PlanRole role = PlanRole::buffer;
  int index = 0;
  WriteMode mode = WriteMode::overwrite;
};

struct Instruction {
  PhaseKind kind = PhaseKind::rows;
  std::string op;
  int node = -1;
  std::vector<PlanOperand> reads, writes;
  Attributes attributes;
  std::int64_t operations = 0;  ///< floating-point operations a sample (Phase::operations)
  ReduceKind reduce = ReduceKind::add;
  int group_lanes = 0;
};

/// Instructions [first, last). A `work` segment holds rows and per-lane instructions alone, so threads run it tile by
/// tile without waiting; `once` and `reduce` segments run after all tiles of the one before. One reduce segment is one
/// collective.
struct Segment {
  PhaseKind kind = PhaseKind::rows;  ///< rows stands for work
  int first = 0, last = 0;
};

/// One order of instructions over a plan's tables, with memory laid out for it.
struct PlanProgram {
  std::vector<PlanBuffer> buffers;
  std::vector<Instruction> instructions;
  std::vector<Segment> segments;
  std::int64_t arena_bytes_per_sample = 0;
  std::int64_t scratch_bytes_per_sample = 0;
  /// Segment after which each bucket's gradients are complete (training alone).
  std::vector<int> bucket_ready;
};

/// The compiled model: pure data, the same on every rank and every machine of a backend kind.
struct Plan {
  PlanOptions options;
  std::shared_ptr<const Graph> graph;  ///< after fusion; shared with the programs bound to the plan
  std::vector<PlanParameter> parameters;
  std::vector<Block> blocks;
  std::vector<Bucket> buckets;
  std::int64_t arena_elements = 0;
  std::vector<PlanState> states;
  std::vector<PlanStatistic> statistics;
  PlanProgram training, evaluation;
  std::vector<int> losses, metrics;  ///< nodes
  std::vector<int> loss_statistics, metric_statistics;
  int output_buffer_evaluation = -1;  ///< buffer of the model's output in the evaluation program

  std::int64_t lane_rows() const { return (options.global_batch + options.lanes - 1) / options.lanes; }
  std::int64_t parameter_elements() const;
  /// Lanes of the smallest group of statistics; 0 where all are over the whole batch.
  int smallest_group_lanes() const;
};

/// Compiles: fusion, order, gradients of values with several consumers, lifetimes, buckets, collectives. Pure.
Plan make_plan(Graph graph, const PlanOptions& options);

/// The plan as text for people (`lockstep plan`): instructions, shapes, parameters, memory, buckets, collectives.
/// The kernels' names come from programs bound to it; they may be left out.
std::string describe_plan(const Plan& plan, std::span<const std::string> training_kernels = {}, std::span<const std::string> evaluation_kernels = {});

/// The graph with every layer that can absorb its only consumer fused with it.
Graph fuse(const Graph& graph);

/// The layer's OpSpec for an instruction of a program. In tf32, ops "conv2d.*" and "dense.*" carry the attribute "tf32" = 1.
OpSpec op_spec(const Plan& plan, const PlanProgram& program, const Instruction& instruction);

}  // namespace lockstep
