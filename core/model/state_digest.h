#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/hash.h"
#include "core/model/state_member.h"

namespace lockstep {

/// The digest of a state: of every member's name, kind, dtype, shape and bytes, in order. Two states with the same
/// digest are the same bits. Positional state must be gathered before (all rows), so that the rank count cannot show.
class DigestVisitor : public MemberVisitor {
 public:
  void positional(std::string_view name, TensorView value, std::int64_t first_row, std::int64_t total_rows) override;

  /// 32 hexadecimal digits.
  std::string hex() const { return digest_.hex(); }
  /// (name, digest) of every member, in order: names the first that differs.
  const std::vector<std::pair<std::string, std::string>>& members() const { return members_; }

 protected:
  void member(const std::string& name, MemberKind kind, TensorView value) override;

 private:
  Digest digest_;
  std::vector<std::pair<std::string, std::string>> members_;
};

std::string state_digest(const VisitState& visit);

}  // namespace lockstep
