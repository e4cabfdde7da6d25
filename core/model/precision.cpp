#include "core/model/precision.h"

#include <array>

#include "core/base/error.h"

namespace lockstep {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"f32", "tf32", "bf16", "f16"};

}  // namespace

std::string_view name_of(Precision precision) { return kNames.at(static_cast<std::size_t>(precision)); }

Precision precision_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<Precision>(i);
  fail(ErrorKind::run_file, "unknown precision \"{}\"; known: f32, tf32, bf16, f16", name);
}

Dtype activation_dtype(Precision precision) {
  switch (precision) {
    case Precision::f32:
    case Precision::tf32: return Dtype::f32;
    case Precision::bf16: return Dtype::bf16;
    case Precision::f16: return Dtype::f16;
  }
  fail(ErrorKind::internal, "unknown precision");
}

}  // namespace lockstep
