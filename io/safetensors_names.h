#pragma once

#include <string>
#include <string_view>

#include "core/tensor/dtype.h"

namespace lockstep::safetensors {

constexpr std::size_t kMaxHeaderBytes = 100'000'000;
constexpr std::string_view kMetadata = "__metadata__";

/// "F32", "BF16", ...
std::string_view dtype_name(Dtype dtype);
/// `content` error, beginning with `where`, for dtypes that we do not have.
Dtype dtype_of(std::string_view name, const std::string& where);
/// The official order of dtypes, in which later ones are written first.
int dtype_rank(Dtype dtype);

}  // namespace lockstep::safetensors
