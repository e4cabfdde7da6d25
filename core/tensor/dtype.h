#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lockstep {

enum class Dtype : std::uint8_t { f32, bf16, f16, f64, u8, i32, i64 };

std::size_t size_of(Dtype dtype);
/// "f32", "bf16", ...
std::string_view name_of(Dtype dtype);
/// The reverse of name_of; `content` error for an unknown name.
Dtype dtype_from_name(std::string_view name);

}  // namespace lockstep
