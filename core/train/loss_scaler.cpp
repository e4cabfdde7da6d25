#include "core/train/loss_scaler.h"

#include <algorithm>
#include <limits>

namespace lockstep {
namespace {

constexpr std::int64_t kMostSkipped = 3;

}  // namespace

LossScale next(const LossScaling& scaling, const LossScale& now, bool updated) {
  if (!updated) return {.scale = now.scale * LossScaling::kBackoff, .streak = std::min<std::int64_t>(now.streak, 0) - 1};
  const std::int64_t good = std::max<std::int64_t>(now.streak, 0) + 1;
  if (good < scaling.growth_steps) return {.scale = now.scale, .streak = good};
  const double grown = now.scale * LossScaling::kGrowth;
  return {.scale = grown <= static_cast<double>(std::numeric_limits<float>::max()) ? grown : now.scale, .streak = 0};
}

bool is_lost(const LossScale& now) { return now.scale < 1 && now.streak <= -kMostSkipped; }

}  // namespace lockstep
