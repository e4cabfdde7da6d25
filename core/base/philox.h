#pragma once

#include <cstdint>

#include "core/base/formula.h"

namespace lockstep {

/// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11.
/// Stateless: the same counter and key give the same four words on every machine, so nothing is checkpointed.
struct Philox {
  struct Words {
    std::uint32_t w[4];
  };

  LOCKSTEP_FORMULA static Words draw(std::uint64_t counter_low, std::uint64_t counter_high, std::uint64_t key) {
    std::uint32_t c0 = static_cast<std::uint32_t>(counter_low), c1 = static_cast<std::uint32_t>(counter_low >> 32);
    std::uint32_t c2 = static_cast<std::uint32_t>(counter_high), c3 = static_cast<std::uint32_t>(counter_high >> 32);
    std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2;
      const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
      const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
      c1 = static_cast<std::uint32_t>(p1);
      c3 = static_cast<std::uint32_t>(p0);
      c0 = n0;
      c2 = n2;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
  }

  /// Uniform in [0, 1) from one word: 24 bits, exact in f32.
  LOCKSTEP_FORMULA static float uniform(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }
};

/// What a random number is for. Part of the key: streams of different purposes never meet. Values are permanent.
enum class RandomPurpose : std::uint32_t { initialize = 1, shuffle = 2, augment = 3, dropout = 4, test = 99 };

/// The Philox key of a stream: seed, purpose and the hash of a stable name mixed into 64 bits (splitmix64 finaliser).
LOCKSTEP_FORMULA inline std::uint64_t random_key(std::uint64_t seed, RandomPurpose purpose, std::uint64_t name_hash) {
  std::uint64_t x = seed * 0x9E3779B97F4A7C15ull + name_hash + (static_cast<std::uint64_t>(purpose) << 56);
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

}  // namespace lockstep
