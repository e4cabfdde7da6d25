#pragma once

#include <cstdint>

#include "core/backend/kernel.h"
#include "core/device/device.h"

namespace lockstep {

/// Tries on random numbers whether a `rows` kernel gives a row the same bits in one call of spec.max_rows rows as in calls of
/// `lane_rows`. Operands: activations (f32, bf16, f16) and parameters. Takes its own memory and gives it back.
bool rows_give_the_same_bits(const Kernel& kernel, const OpSpec& spec, Device& device, std::int64_t lane_rows);

}  // namespace lockstep
