#pragma once

#include <cstdint>

namespace lockstep::simt {

/// The shim's choices: one stream of numbers a thread, from the seed and the number of the thread's first use.
/// Environment variable LOCKSTEP_SIMT_SEED, 1 without it.
std::uint64_t random();
/// Evenly below `bound` (for all that matters here).
inline std::uint32_t random_below(std::uint32_t bound) {
  return static_cast<std::uint32_t>(((random() & 0xFFFFFFFFu) * bound) >> 32);
}
/// Begins this thread's stream anew.
void seed(std::uint64_t value);
std::uint64_t seed();

/// A permutation of [0, count) that costs nothing to make: forwards, backwards and strides between.
class Order {
 public:
  explicit Order(std::uint64_t count);
  std::uint64_t next() {
    const std::uint64_t value = at_;
    at_ += step_;
    if (at_ >= count_) at_ -= count_;
    return value;
  }

 private:
  std::uint64_t count_, at_, step_;
};

}  // namespace lockstep::simt
