#include "io/sampler.h"

#include <numeric>
#include <utility>

#include "core/base/hash.h"
#include "core/base/philox.h"

namespace lockstep {

std::vector<std::int64_t> Sampler::order(std::int64_t epoch) const {
  std::vector<std::int64_t> result(static_cast<std::size_t>(samples_));
  std::iota(result.begin(), result.end(), std::int64_t{0});
  if (order_ == SampleOrder::as_stored) return result;
  const std::uint64_t key = random_key(seed_, RandomPurpose::shuffle, hash_text("samples"));
  for (std::uint64_t i = static_cast<std::uint64_t>(samples_); i > 1; --i) {
    const Philox::Words words = Philox::draw(i, static_cast<std::uint64_t>(epoch), key);
    const std::uint64_t bits = static_cast<std::uint64_t>(words.w[1]) << 32 | words.w[0];
    // Uniform in [0, i) to 2^-64 * i: the high half of the product.
    __extension__ using Wide = unsigned __int128;
    const auto chosen = static_cast<std::uint64_t>(Wide{bits} * i >> 64);
    std::swap(result[i - 1], result[chosen]);
  }
  return result;
}

}  // namespace lockstep
