#pragma once

#include "core/backend/kernel.h"
#include "core/base/error.h"
#include "core/tensor/bfloat16.h"

namespace lockstep::cpu {

/// Calls body(T{}) with the element type of an operand, float or BFloat16: one kernel body serves both.
template <class Body>
auto with_element_type(const OpSpec& op, Dtype dtype, const Body& body) {
  if (dtype == Dtype::f32) return body(float{});
  if (dtype == Dtype::bf16) return body(BFloat16{});
  fail(ErrorKind::internal, "{}: expected f32 or bf16, got {}", op.op, name_of(dtype));
}

}  // namespace lockstep::cpu
