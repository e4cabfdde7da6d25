#pragma once

#include <vector>

#include "core/model/plan.h"

namespace lockstep {

/// Lays the instructions of one program: the planner's inside. Tables of the plan (parameters, states, statistics)
/// must be complete.
class ProgramBuilder {
 public:
  explicit ProgramBuilder(const Plan& plan);

  PlanProgram training();
  PlanProgram evaluation(int& output_buffer);

 private:
  void forward(bool training);
  void backward();
  void node_backward(int node);
  bool needs_backward(int node) const;
  void emit(int node, const Phase& phase);
  void write_input_gradient(int node, const Operand& operand, Instruction& instruction, std::vector<Instruction>& after);
  PlanOperand translate(int node, const Operand& operand);
  void flush_reduces_read_by(const Instruction& instruction);
  void flush_reduces();
  int add_buffer(std::string name, const TensorSpec& spec, Placement placement = Placement::arena, std::int64_t slot = 0);
  int gradient_of(int value);
  void find_gradient_needs();

  const Plan& plan_;
  const Graph& graph_;
  PlanProgram program_;
  std::vector<int> value_buffers_, gradient_buffers_;
  std::vector<std::vector<int>> saved_buffers_;
  std::vector<bool> wants_gradient_;  ///< by value
  std::vector<Instruction> pending_reduces_;
};

/// Cuts the instructions into segments.
void cut_segments(PlanProgram& program);
/// Places buffers by lifetime: those that live in one segment in a worker's scratch, the rest in the arena. `keep`
/// (or -1) stays readable after the last segment.
void place_buffers(PlanProgram& program, int keep);

}  // namespace lockstep
