#include "launch/resume_overrides.h"

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/train/schedule.h"

namespace lockstep {
namespace {

/// Keys, or the tables above them, that cannot alter a weight.
const std::set<std::string, std::less<>> kFree = {"run.directory", "run.threads",    "run.collectives", "run.device", "run.if_exists", "checkpoint",
                                                  "data.memory",   "train.steps",    "train.max_time",  "train.log",     "evaluate"};

bool is_free(std::string_view path) {
  return std::any_of(kFree.begin(), kFree.end(), [&](const std::string& free) { return path == free || path.starts_with(free + "."); });
}

void compare(const Value* before, const Value* after, const std::string& path, bool epochs_are_free) {
  if (is_free(path) || (epochs_are_free && path == "train.epochs")) return;
  if (before && after && before->is_table() && after->is_table()) {
    std::set<std::string> keys;
    for (const Value* table : {before, after})
      for (const auto& [key, value] : table->as_table()) keys.insert(key);
    for (const std::string& key : keys) compare(before->find(key), after->find(key), path.empty() ? key : path + "." + key, epochs_are_free);
    return;
  }
  const std::string was = before ? before->describe() : "nothing", is = after ? after->describe() : "nothing";
  if (was != is)
    fail(ErrorKind::usage, "resume: {}: a change from {} to {} would alter what the run learns; add --change-trajectory to do so all the same", path, was, is);
}

}  // namespace

void require_same_trajectory(const RunConfig& before, const RunConfig& after) {
  const bool epochs_are_free = !make_plug_in<Schedule>(before.train.schedule)->depends_on_length();
  compare(&before.resolved, &after.resolved, "", epochs_are_free);
}

}  // namespace lockstep
