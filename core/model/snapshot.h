#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/model/state_member.h"

namespace lockstep {

/// Whether a restore takes all that a snapshot holds, or may leave members unread.
enum class SnapshotMatch { exact, subset };

/// A copy of a state in host memory: the source of background saves, of roll-backs and of the best weights, and what
/// a checkpoint is read into. Move-only.
class Snapshot {
 public:
  struct Member {
    std::string name;
    MemberKind kind = MemberKind::tensor;
    Tensor value;
  };

  Snapshot() = default;
  explicit Snapshot(const VisitState& visit) { take(visit); }

  /// Copies the state; memory of an earlier copy of the same layout is used again. Afterwards the state may change.
  void take(const VisitState& visit);
  /// Appends a member; used by readers of files.
  void add(Member member) { members_.push_back(std::move(member)); }

  /// Writes the copy back. All or nothing: names, kinds, dtypes and shapes are compared first, and a difference is a
  /// `content` error `what: does not fit this model: missing ..; unexpected ..; different ..`. Whoever owns parameters
  /// commits them afterwards.
  void restore(const VisitState& visit, std::string_view what, SnapshotMatch match = SnapshotMatch::exact) const;

  const std::vector<Member>& members() const { return members_; }
  /// nullptr where there is none.
  const Member* find(std::string_view name) const;
  bool empty() const { return members_.empty(); }
  std::size_t bytes() const;
  /// The same as state_digest of the state that it copies.
  std::string digest() const;

 private:
  std::vector<Member> members_;
};

}  // namespace lockstep
