#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/state_visitor.h"

namespace lockstep {

/// Calls a state's `visit`: `[&](StateVisitor& v) { state.visit(v); }`.
using VisitState = std::function<void(StateVisitor&)>;

enum class MemberKind : std::uint8_t { tensor, integer, real, reals, text };

/// "tensor", "integer", ...
std::string_view name_of(MemberKind kind);
/// The reverse; `content` error for an unknown name.
MemberKind member_kind_from_name(std::string_view name);

/// The digest of one member: name, kind, dtype, shape, bytes.
std::string member_digest(std::string_view name, MemberKind kind, ConstTensorView value);

/// Turns every member of a state into one call with its whole name and its bytes: an integer is an i64 scalar, a real
/// an f64 scalar, reals are f64 [n], a text u8 [length]. Rows of positional state are passed on as they come, so
/// whoever needs all of them gathers first.
class MemberVisitor : public StateVisitor {
 public:
  void enter(std::string_view name) final;
  void leave() final;
  void tensor(std::string_view name, TensorView value) final;
  void positional(std::string_view name, TensorView value, std::int64_t first_row, std::int64_t total_rows) override;
  void integer(std::string_view name, std::int64_t& value) override;
  void real(std::string_view name, double& value) override;
  void reals(std::string_view name, std::vector<double>& values) override;
  void text(std::string_view name, std::string& value) override;

 protected:
  /// `value` may be written to, within its shape.
  virtual void member(const std::string& name, MemberKind kind, TensorView value) = 0;
  /// "optimizer/momentum/head.weight".
  std::string full_name(std::string_view name) const;

 private:
  std::vector<std::string> parts_;
};

}  // namespace lockstep
