#pragma once

#include <cstdint>
#include <string_view>

#include "core/tensor/dtype.h"

namespace lockstep {

/// What a model is computed in. Master weights, gradients of weights and the optimizer's state are f32 in all of them.
enum class Precision : std::uint8_t {
  f32,
  tf32,  ///< activations f32; convolutions and matrix products round their factors to 10 bits of mantissa and add in f32
  bf16,  ///< activations and their gradients bf16, sums f32
  f16,   ///< activations and their gradients f16, sums f32; needs a loss scale (core/train/loss_scaler.h)
};

/// "f32", "tf32", "bf16", "f16".
std::string_view name_of(Precision precision);
/// The reverse of name_of; `run_file` error for an unknown name.
Precision precision_from_name(std::string_view name);

/// What activations and their gradients are in memory.
Dtype activation_dtype(Precision precision);

}  // namespace lockstep
