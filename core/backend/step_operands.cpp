#include "core/backend/step_operands.h"

#include "core/base/error.h"

namespace lockstep {

DecideOptions::DecideOptions(const OpSpec& op) : losses_(static_cast<std::size_t>(op.attributes.integer("losses"))) {
  const std::string& scope = op.attributes.text("scope");
  require(scope == "none" || scope == "global" || scope == "tensor" || scope == "element", "{}: unknown scope \"{}\"; known: none, global, tensor, element",
          op.op, scope);
  require(losses_ <= DecideOperands::kMostLosses, "{}: expected at most {} losses, got {}", op.op, DecideOperands::kMostLosses, losses_);
  by_tensor_ = scope == "tensor";
  if (scope == "global") model_bound_ = op.attributes.real("bound");
  if (by_tensor_) tensor_bound_ = op.attributes.real("bound");
}

DecideOperands DecideOptions::operands(const KernelCall& call) const {
  DecideOperands result;
  result.squares = static_cast<const double*>(call.reads[0]);
  result.blocks = static_cast<const Block*>(call.reads[1]);
  result.block_count = call.rows;
  result.loss_count = static_cast<int>(losses_);
  for (std::size_t l = 0; l < losses_; ++l) result.losses[l] = static_cast<const double*>(call.reads[2 + l]);
  if (call.reads.size() > 2 + losses_) result.fault = static_cast<const std::int64_t*>(call.reads[2 + losses_]);
  result.step = static_cast<StepBlock*>(call.writes[0]);
  result.outcome = static_cast<StepOutcome*>(call.writes[1]);
  if (by_tensor_) result.scales = static_cast<float*>(call.writes[2]);
  result.model_bound = model_bound_;
  result.tensor_bound = tensor_bound_;
  return result;
}

}  // namespace lockstep
