#include "tests/support/simt/random.h"

#include <atomic>
#include <cstdlib>
#include <numeric>

namespace lockstep::simt {

namespace {

struct Stream {
  std::uint64_t seed = 0, state = 0;
  Stream() {
    static std::atomic<std::uint64_t> threads = 0;
    const char* text = std::getenv("LOCKSTEP_SIMT_SEED");
    begin((text ? std::strtoull(text, nullptr, 10) : 1) + 1000003 * threads++);
  }
  void begin(std::uint64_t value) {
    seed = value;
    state = (value + 1) * 0x9E3779B97F4A7C15u;
  }
};

Stream& stream() {
  thread_local Stream numbers;
  return numbers;
}

}  // namespace

// Steele, Lea, Flood 2014: SplitMix64.
std::uint64_t random() {
  std::uint64_t z = stream().state += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

void seed(std::uint64_t value) { stream().begin(value); }
std::uint64_t seed() { return stream().seed; }

Order::Order(std::uint64_t count) : count_(count), at_(0), step_(1) {
  if (count < 2) return;
  at_ = random() % count;
  const std::uint64_t kind = random() % 4;
  if (kind == 0) return;
  step_ = kind == 1 ? count - 1 : 1 + random() % (count - 1);
  while (std::gcd(step_, count) != 1) step_ = step_ == 1 ? count - 1 : step_ - 1;
}

}  // namespace lockstep::simt
