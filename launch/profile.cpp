#include "launch/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/base/table.h"

namespace lockstep {
namespace {

/// Empty where there is nothing to say.
std::string number(double value, int digits) { return value > 0 ? fmt::format("{:.{}f}", value, digits) : ""; }

/// `seconds` and `roofline` of one step, `total` of all entries together.
std::vector<std::string> row_of(const ProfileEntry& entry, double seconds, double total, double roofline) {
  const double bytes = entry.work.bytes, operations = entry.work.operations, rate = seconds > 0 ? 1 / seconds : 0;
  return {entry.op,
          entry.kernel,
          entry.calls > 0 ? std::to_string(entry.calls) : "",
          fmt::format("{:.3f}", 1e3 * seconds),
          fmt::format("{:.1f}%", total > 0 ? 100 * seconds / total : 0.0),
          number(1e-6 * bytes, 2),
          number(1e-9 * operations, 3),
          number(1e-9 * bytes * rate, 1),
          number(1e-12 * operations * rate, 3),
          roofline > 0 && seconds > 0 ? fmt::format("{:.0f}%", 100 * roofline * rate) : ""};
}

}  // namespace

double Roofs::seconds(const Work& work) const {
  const double memory = bytes_per_second > 0 ? work.bytes / bytes_per_second : 0;
  return std::max(memory, operations_per_second > 0 ? work.operations / operations_per_second : 0);
}

std::string describe_profile(std::span<const ProfileEntry> entries, std::int64_t steps, const Roofs& roofs) {
  const double a_step = 1 / static_cast<double>(std::max<std::int64_t>(steps, 1));
  ProfileEntry all{.op = "all"};
  double roofline = 0;
  for (const ProfileEntry& entry : entries) {
    all.seconds += entry.seconds;
    all.work += entry.work;
    roofline += roofs.seconds(entry.work);
  }
  const double total = all.seconds * a_step;
  std::vector<std::vector<std::string>> rows = {{"operation", "kernel", "calls", "ms a step", "share", "MB", "GFLOP", "GB/s", "TFLOP/s", "roofline"}};
  for (const ProfileEntry& entry : entries) rows.push_back(row_of(entry, entry.seconds * a_step, total, roofs.seconds(entry.work)));
  rows.push_back(row_of(all, total, total, roofline));
  if (roofs.bytes_per_second <= 0)
    for (auto& row : rows) row.pop_back();
  TextTable table(rows.front());
  for (std::size_t i = 1; i < rows.size(); ++i) table.add(rows[i]);
  return table.text();
}

}  // namespace lockstep
