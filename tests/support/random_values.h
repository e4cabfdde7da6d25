#pragma once

#include <cstdint>
#include <vector>

#include "core/base/philox.h"

namespace lockstep::test {

/// `count` random numbers in [-1, 1), the same for the same stream.
template <class T>
std::vector<T> random_values(std::size_t count, std::uint64_t stream = 1) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = static_cast<T>(2.0f * Philox::uniform(Philox::draw(i, 0, random_key(1, RandomPurpose::test, stream)).w[0]) - 1.0f);
  return values;
}

}  // namespace lockstep::test
