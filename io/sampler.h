#pragma once

#include <cstdint>
#include <vector>

namespace lockstep {

enum class SampleOrder : std::uint8_t { as_stored, shuffled };

/// The order of the samples of an epoch: a pure function of seed and epoch, the same on every rank. Shuffled is the
/// Fisher-Yates shuffle (Durstenfeld 1964) with one Philox draw a position: each sample exactly once.
class Sampler {
 public:
  Sampler(std::int64_t samples, SampleOrder order, std::uint64_t seed) : samples_(samples), order_(order), seed_(seed) {}

  std::int64_t samples() const { return samples_; }
  /// Sample index by position; O(samples).
  std::vector<std::int64_t> order(std::int64_t epoch) const;

 private:
  std::int64_t samples_;
  SampleOrder order_;
  std::uint64_t seed_;
};

}  // namespace lockstep
