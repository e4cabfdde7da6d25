#include "core/tensor/dtype.h"

#include <array>
#include <utility>

#include "core/base/error.h"

namespace lockstep {
namespace {

struct DtypeFacts {
  std::string_view name;
  std::size_t size;
};
constexpr std::array<DtypeFacts, 7> kFacts{{{"f32", 4}, {"bf16", 2}, {"f16", 2}, {"f64", 8}, {"u8", 1}, {"i32", 4}, {"i64", 8}}};

}  // namespace

std::size_t size_of(Dtype dtype) { return kFacts[static_cast<std::size_t>(dtype)].size; }

std::string_view name_of(Dtype dtype) { return kFacts[static_cast<std::size_t>(dtype)].name; }

Dtype dtype_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kFacts.size(); ++i)
    if (kFacts[i].name == name) return static_cast<Dtype>(i);
  fail(ErrorKind::content, "unknown dtype \"{}\"; known: f32, bf16, f16, f64, u8, i32, i64", name);
}

}  // namespace lockstep
