#include "core/train/profile.h"

#include <algorithm>

namespace lockstep {

int Profile::add(const std::string& op, const std::string& kernel, const Work& work) {
  auto entry = std::ranges::find_if(entries_, [&](const ProfileEntry& known) { return known.op == op && known.kernel == kernel; });
  if (entry == entries_.end()) entry = entries_.insert(entry, {.op = op, .kernel = kernel});
  entry->calls += 1;
  entry->work += work;
  return static_cast<int>(entry - entries_.begin());
}

void Profile::begin(const std::vector<std::int64_t>& signature) {
  pass_ = &passes_[signature];
  fresh_ = true;
}

void Profile::set_mark(int entry) {
  if (pass_->used == pass_->marks.size()) pass_->marks.push_back({entry, device_.make_marker()});
  Mark& mark = pass_->marks[pass_->used++];
  mark.entry = entry;
  mark.marker->set(device_.stream(Queue::kMain));
}

void Profile::mark(int entry) {
  require(pass_ != nullptr, "profile: a mark before the first step");
  if (fresh_) pass_->used = 0;
  fresh_ = false;
  set_mark(entry);
}

void Profile::finish() {
  if (!pass_) return;
  for (std::size_t i = 1; i < pass_->used; ++i) {
    const Mark& mark = pass_->marks[i];
    if (mark.entry != kNobody) count(mark.entry, mark.marker->seconds_since(*pass_->marks[i - 1].marker));
  }
  ++steps_;
}

void Profile::restart() {
  steps_ = 0;
  for (ProfileEntry& entry : entries_) entry.seconds = 0;
}

std::vector<ProfileEntry> Profile::entries() const {
  std::vector<ProfileEntry> result = entries_;
  std::ranges::stable_sort(result, std::ranges::greater{}, &ProfileEntry::seconds);
  return result;
}

}  // namespace lockstep
