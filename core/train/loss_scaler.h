#pragma once

#include <cstdint>

namespace lockstep {

/// How the loss is scaled so that small gradients do not vanish in f16 (Micikevicius et al. 2018, "Mixed precision
/// training", section 3.2). A dynamic scale moves as that of PyTorch's torch.amp.GradScaler does, with its defaults: a step
/// whose gradients are not finite updates nothing and halves the scale; `growth_steps` good ones in a row double it.
struct LossScaling {
  static constexpr double kInitial = 65536;
  static constexpr std::int64_t kGrowthSteps = 2000;
  static constexpr double kGrowth = 2.0, kBackoff = 0.5;

  double initial = 1;
  std::int64_t growth_steps = 0;  ///< 0: the scale stays as it is

  bool dynamic() const { return growth_steps > 0; }
};

/// Where a dynamic scale stands: state of the run. Decided on reduced values, so equal on every rank.
struct LossScale {
  double scale = 1;         ///< an f32 number
  std::int64_t streak = 0;  ///< good steps in a row since the scale last changed; skipped ones in a row as a negative number
};

/// After a step: `updated` is false where its gradients were not finite. A scale beyond the range of f32 is not taken.
LossScale next(const LossScaling& scaling, const LossScale& now, bool updated);

/// Whether the run diverged: at least three steps in a row were skipped, and the scale is below 1, where it shrinks what
/// it was to protect.
bool is_lost(const LossScale& now);

}  // namespace lockstep
