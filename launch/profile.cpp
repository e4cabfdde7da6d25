#include "launch/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/base/table.h"

namespace lockstep {

std::string describe_profile(Program& program, std::int64_t steps) {
  std::vector<std::pair<std::string, double>> times(program.times().begin(), program.times().end());
  std::sort(times.begin(), times.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  double total = 0;
  for (const auto& [name, seconds] : times) total += seconds;
  TextTable table({"operation", "seconds", "share", "ms a step"});
  for (const auto& [name, seconds] : times)
    table.add({name, fmt::format("{:.3f}", seconds), fmt::format("{:.1f}%", total > 0 ? 100 * seconds / total : 0.0),
               fmt::format("{:.3f}", 1e3 * seconds / static_cast<double>(std::max<std::int64_t>(steps, 1)))});
  return table.text();
}

}  // namespace lockstep
