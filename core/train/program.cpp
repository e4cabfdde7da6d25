#include "core/train/program.h"

#include "core/train/instruction_program.h"
#include "core/train/lane_program.h"

namespace lockstep {

std::unique_ptr<Program> Program::bind(const Parts& parts) {
  if (parts.backend.order() == WorkOrder::by_lane) return std::make_unique<LaneProgram>(parts);
  return std::make_unique<InstructionProgram>(parts);
}

}  // namespace lockstep
