#pragma once

#include <cstdint>
#include <span>

namespace lockstep {

/// Value i is a pure function of (key, i): four come from one Philox draw with counter i / 4. All arithmetic is +, -, *, / and
/// sqrt in f64, which IEEE 754 fixes to the bit, then one rounding to f32: a C library's log and cos, which differ between
/// machines in the last place, are not called. So every rank of every machine starts from the same bits.

/// Uniform in (-bound, bound), both ends reachable by rounding alone.
void fill_uniform(std::span<float> values, double bound, std::uint64_t key);

/// Normal with mean 0 by Box and Muller 1958: sqrt(-2 ln u) cos(2 pi v) and sin(2 pi v).
void fill_normal(std::span<float> values, double deviation, std::uint64_t key);

}  // namespace lockstep
