#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/registry.h"

namespace lockstep {

/// Fills a fresh parameter. A pure function of the key and the shape: no stateful generator.
class Initializer {
 public:
  static constexpr std::string_view kPlugInKind = "initializer";

  virtual ~Initializer() = default;
  /// `key` is random_key(seed, initialize, hash of the parameter's stable name).
  virtual void fill(std::span<float> values, std::int64_t fan_in, std::int64_t fan_out, std::uint64_t key) const = 0;
};

}  // namespace lockstep
