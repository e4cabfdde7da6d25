#include "io/safetensors_names.h"

#include <array>
#include <utility>

#include "core/base/error.h"

namespace lockstep::safetensors {
namespace {

// In the order of the official enumeration.
constexpr std::array<std::pair<Dtype, std::string_view>, 7> kNames = {{{Dtype::u8, "U8"},
                                                                       {Dtype::f16, "F16"},
                                                                       {Dtype::bf16, "BF16"},
                                                                       {Dtype::i32, "I32"},
                                                                       {Dtype::f32, "F32"},
                                                                       {Dtype::f64, "F64"},
                                                                       {Dtype::i64, "I64"}}};

}  // namespace

int dtype_rank(Dtype dtype) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i].first == dtype) return static_cast<int>(i);
  fail(ErrorKind::internal, "safetensors: no name for dtype {}", name_of(dtype));
}

std::string_view dtype_name(Dtype dtype) { return kNames[static_cast<std::size_t>(dtype_rank(dtype))].second; }

Dtype dtype_of(std::string_view name, const std::string& where) {
  for (const auto& [dtype, known] : kNames)
    if (known == name) return dtype;
  fail(ErrorKind::content, "{}: dtype \"{}\" is not supported; known: U8, F16, BF16, I32, F32, F64, I64", where, name);
}

}  // namespace lockstep::safetensors
