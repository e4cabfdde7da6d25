#pragma once

#include <cstdint>

#include "core/model/plan.h"

namespace lockstep {

/// What a piece of work moves through memory and computes at the least: the two sides of its roofline (Williams, Waterman,
/// Patterson 2009, doi 10.1145/1498765.1498785).
struct Work {
  double bytes = 0;       ///< every operand read or written once, as if caches held nothing between instructions
  double operations = 0;  ///< of products alone (Phase::operations)

  Work& operator+=(const Work& other) {
    bytes += other.bytes;
    operations += other.operations;
    return *this;
  }
};

/// Of an instruction over `rows` samples, with `units` results where results are per lane.
Work work_of(const Plan& plan, const PlanProgram& program, const Instruction& instruction, std::int64_t rows, std::int64_t units);

}  // namespace lockstep
