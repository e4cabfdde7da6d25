#include "core/model/state_member.h"

#include <array>

#include "core/base/error.h"
#include "core/base/hash.h"

namespace lockstep {
namespace {

constexpr std::array<std::string_view, 5> kKindNames = {"tensor", "integer", "real", "reals", "text"};

TensorSpec vector_of(std::size_t length, Dtype dtype) { return {Shape{static_cast<std::int64_t>(length)}, dtype}; }

}  // namespace

std::string_view name_of(MemberKind kind) { return kKindNames.at(static_cast<std::size_t>(kind)); }

MemberKind member_kind_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kKindNames.size(); ++i)
    if (kKindNames[i] == name) return static_cast<MemberKind>(i);
  fail(ErrorKind::content, "unknown kind of state \"{}\"; known: tensor, integer, real, reals, text", name);
}

std::string member_digest(std::string_view name, MemberKind kind, ConstTensorView value) {
  Digest digest;
  digest.add(name);
  digest.add(name_of(kind));
  digest.add(name_of(value.spec.dtype));
  digest.add(value.spec.shape.text());
  digest.add(value.data, value.spec.bytes());
  return digest.hex();
}

void MemberVisitor::enter(std::string_view name) { parts_.emplace_back(name); }

void MemberVisitor::leave() { parts_.pop_back(); }

std::string MemberVisitor::full_name(std::string_view name) const {
  std::string whole;
  for (const std::string& part : parts_) whole += part + "/";
  return whole.append(name);
}

void MemberVisitor::tensor(std::string_view name, TensorView value) { member(full_name(name), MemberKind::tensor, value); }

void MemberVisitor::positional(std::string_view name, TensorView value, std::int64_t, std::int64_t) {
  member(full_name(name), MemberKind::tensor, value);
}

void MemberVisitor::integer(std::string_view name, std::int64_t& value) {
  member(full_name(name), MemberKind::integer, {&value, {Shape{}, Dtype::i64}});
}

void MemberVisitor::real(std::string_view name, double& value) { member(full_name(name), MemberKind::real, {&value, {Shape{}, Dtype::f64}}); }

void MemberVisitor::reals(std::string_view name, std::vector<double>& values) {
  member(full_name(name), MemberKind::reals, {values.data(), vector_of(values.size(), Dtype::f64)});
}

void MemberVisitor::text(std::string_view name, std::string& value) {
  member(full_name(name), MemberKind::text, {value.data(), vector_of(value.size(), Dtype::u8)});
}

}  // namespace lockstep
