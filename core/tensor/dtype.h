#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lockstep {

enum class Dtype : std::uint8_t { f32, bf16, f16, f64, u8, i32, i64 };

std::size_t size_of(Dtype dtype);
/// Whether activations may be kept in it: f32, bf16 or f16.
constexpr bool is_activation(Dtype dtype) { return dtype == Dtype::f32 || dtype == Dtype::bf16 || dtype == Dtype::f16; }
/// "f32", "bf16", ...
std::string_view name_of(Dtype dtype);
/// The reverse of name_of; `content` error for an unknown name.
Dtype dtype_from_name(std::string_view name);

}  // namespace lockstep
