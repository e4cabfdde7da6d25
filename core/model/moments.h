#pragma once

#include "core/base/formula.h"

namespace lockstep {

/// Moments of two sets of samples as those of both together, after Chan, Golub, LeVeque 1983, "Algorithms for computing the sample
/// variance": what the counts alone give, once for all channels. Both counts are above 0; a set without samples changes nothing.
struct MomentShare {
  double count, share, weight;
};

LOCKSTEP_FORMULA inline MomentShare moment_share(double left_count, double right_count) {
  const double count = left_count + right_count, share = right_count / count;
  return {count, share, left_count * share};
}

/// The mean and the sum of squared deviations of the left set take in those of the right one.
LOCKSTEP_FORMULA inline void combine_moment(const MomentShare& s, double& mean, double& m2, double right_mean, double right_m2) {
  const double delta = right_mean - mean;
  mean += delta * s.share;
  m2 = (m2 + right_m2) + delta * delta * s.weight;
}

}  // namespace lockstep
