#include "core/model/snapshot.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/text.h"

namespace lockstep {
namespace {

using Members = std::map<std::string, const Snapshot::Member*, std::less<>>;

class Copier : public MemberVisitor {
 public:
  explicit Copier(std::vector<Snapshot::Member>& members) : members_(members) {}
  ~Copier() override = default;
  std::size_t count() const { return count_; }

 protected:
  void member(const std::string& name, MemberKind kind, TensorView value) override {
    if (count_ == members_.size()) members_.emplace_back();
    Snapshot::Member& copy = members_[count_++];
    copy.name = name;
    copy.kind = kind;
    if (copy.value.view().data == nullptr || !(copy.value.spec() == value.spec)) copy.value = Tensor(value.spec);
    if (value.spec.bytes() > 0) std::memcpy(copy.value.view().data, value.data, value.spec.bytes());
  }

 private:
  std::vector<Snapshot::Member>& members_;
  std::size_t count_ = 0;
};

/// Compares a state with a snapshot and changes nothing.
class Comparer : public MemberVisitor {
 public:
  explicit Comparer(const Members& members) : members_(members) {}

  void finish(std::string_view what, SnapshotMatch match) const {
    std::vector<std::string> unexpected;
    for (const auto& [name, member] : members_)
      if (match == SnapshotMatch::exact && seen_.count(name) == 0) unexpected.push_back("\"" + name + "\"");
    std::vector<std::string> problems;
    describe(problems, "missing", missing_);
    describe(problems, "unexpected", unexpected);
    describe(problems, "different", different_);
    if (!problems.empty()) fail(ErrorKind::content, "{}: does not fit this model: {}", what, join(problems, "; "));
  }

 protected:
  void member(const std::string& name, MemberKind kind, TensorView value) override {
    require(seen_.insert(name).second, "state: two members are named \"{}\"", name);
    const auto found = members_.find(name);
    if (found == members_.end()) {
      missing_.push_back("\"" + name + "\"");
      return;
    }
    const Snapshot::Member& have = *found->second;
    const bool any_length = kind == MemberKind::reals || kind == MemberKind::text;
    if (have.kind == kind && (any_length || have.value.spec() == value.spec)) return;
    different_.push_back(fmt::format("\"{}\": expected {} {}, got {} {}", name, name_of(kind), value.spec.text(), name_of(have.kind),
                                     have.value.spec().text()));
  }

 private:
  static void describe(std::vector<std::string>& problems, std::string_view what, const std::vector<std::string>& names) {
    constexpr std::size_t kShown = 5;
    if (names.empty()) return;
    std::string list = join(std::span(names).first(std::min(names.size(), kShown)));
    if (names.size() > kShown) list += fmt::format(" and {} more", names.size() - kShown);
    problems.push_back(fmt::format("{} {}", what, list));
  }

  const Members& members_;
  std::set<std::string> seen_;
  std::vector<std::string> missing_, different_;
};

class Restorer : public MemberVisitor {
 public:
  explicit Restorer(const Members& members) : members_(members) {}

  void reals(std::string_view name, std::vector<double>& values) override {
    const Tensor& from = members_.at(full_name(name))->value;
    values.assign(from.as<double>(), from.as<double>() + from.spec().elements());
  }
  void text(std::string_view name, std::string& value) override {
    const Tensor& from = members_.at(full_name(name))->value;
    value.assign(from.as<char>(), from.spec().bytes());
  }

 protected:
  void member(const std::string& name, MemberKind, TensorView value) override {
    const Snapshot::Member& from = *members_.find(name)->second;
    if (value.spec.bytes() > 0) std::memcpy(value.data, from.value.view().data, value.spec.bytes());
  }

 private:
  const Members& members_;
};

}  // namespace

void Snapshot::take(const VisitState& visit) {
  Copier copier(members_);
  visit(copier);
  members_.resize(copier.count());
}

void Snapshot::restore(const VisitState& visit, std::string_view what, SnapshotMatch match) const {
  Members members;
  for (const Member& member : members_) members.emplace(member.name, &member);
  Comparer comparer(members);
  visit(comparer);
  comparer.finish(what, match);
  Restorer restorer(members);
  visit(restorer);
}

const Snapshot::Member* Snapshot::find(std::string_view name) const {
  for (const Member& member : members_)
    if (member.name == name) return &member;
  return nullptr;
}

std::size_t Snapshot::bytes() const {
  std::size_t total = 0;
  for (const Member& member : members_) total += member.value.spec().bytes();
  return total;
}

std::string Snapshot::digest() const {
  Digest digest;
  for (const Member& member : members_) digest.add(member_digest(member.name, member.kind, member.value.view()));
  return digest.hex();
}

}  // namespace lockstep
