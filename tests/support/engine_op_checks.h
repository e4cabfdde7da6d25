#pragma once

#include "core/backend/backend.h"

namespace lockstep::test {

/// What every backend's engine ops must do, see core/backend/engine_ops.h: small and awkward sizes, unaligned operands,
/// results in place. The bits of folds and decisions are those of the CPU's functions.
void check_fold_add(Backend& backend);
void check_fold_moments(Backend& backend);
void check_fold_errors(Backend& backend);
void check_squares(Backend& backend);
void check_decision(Backend& backend);

}  // namespace lockstep::test
