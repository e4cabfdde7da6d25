#include "launch/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/base/table.h"

namespace lockstep {

std::string describe_profile(const Profile& profile) {
  const std::vector<ProfileEntry> entries = profile.entries();
  double total = 0;
  for (const ProfileEntry& entry : entries) total += entry.seconds;
  const auto steps = static_cast<double>(std::max<std::int64_t>(profile.steps(), 1));
  TextTable table({"operation", "kernel", "calls", "ms a step", "share"});
  for (const ProfileEntry& entry : entries)
    table.add({entry.op, entry.kernel, std::to_string(entry.calls), fmt::format("{:.3f}", 1e3 * entry.seconds / steps),
               fmt::format("{:.1f}%", total > 0 ? 100 * entry.seconds / total : 0.0)});
  return table.text();
}

}  // namespace lockstep
