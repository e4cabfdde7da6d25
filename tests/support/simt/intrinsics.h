#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

#include "tests/support/simt/block.h"

// CUDA's device functions for kernels that run on the host. Only what is well defined there: what is missing does not
// compile, such as atomics on floats, whose order would be left to chance.

namespace lockstep::simt {

template <class T>
std::uint64_t to_bits(T value) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}
template <class T>
T from_bits(std::uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
inline WarpValues gather(unsigned mask, std::uint64_t value, const std::source_location& at) {
  WarpValues all;
  meet_warp(mask, value, at, &all);
  return all;
}
template <class T, class Combine>
T reduce(unsigned mask, T value, const std::source_location& at, const Combine& combine) {
  const WarpValues all = gather(mask, to_bits(value), at);
  bool first = true;
  T result{};
  for (int l = 0; l < 32; ++l) {
    if (!(all.lanes >> l & 1)) continue;
    result = first ? from_bits<T>(all.values[l]) : combine(result, from_bits<T>(all.values[l]));
    first = false;
  }
  return result;
}
template <class T>
concept Int32 = std::is_same_v<T, int> || std::is_same_v<T, unsigned>;
/// The types of CUDA's integer atomics.
template <class T>
concept AtomicInt = Int32<T> || std::is_same_v<T, unsigned long long> || std::is_same_v<T, long long>;

}  // namespace lockstep::simt

#define LOCKSTEP_SIMT_AT std::source_location at = std::source_location::current()

// Barriers.
inline void __syncthreads(LOCKSTEP_SIMT_AT) { lockstep::simt::meet_block(0, at); }
inline int __syncthreads_count(int p, LOCKSTEP_SIMT_AT) { return lockstep::simt::meet_block(p, at).sum; }
inline int __syncthreads_and(int p, LOCKSTEP_SIMT_AT) { return lockstep::simt::meet_block(p, at).all; }
inline int __syncthreads_or(int p, LOCKSTEP_SIMT_AT) { return lockstep::simt::meet_block(p, at).any; }
inline void __syncwarp(unsigned mask = ~0u, LOCKSTEP_SIMT_AT) { lockstep::simt::meet_warp(mask, 0, at, nullptr); }
inline void __threadfence() {}
inline void __threadfence_block() {}

// Shuffles. Their mask has no default, as in CUDA.
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, LOCKSTEP_SIMT_AT) {
  using namespace lockstep::simt;
  const int base = lane() & ~(width - 1);
  return from_bits<T>(shuffle(mask, to_bits(value), base + (source & (width - 1)), at));
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, LOCKSTEP_SIMT_AT) {
  using namespace lockstep::simt;
  const int l = lane(), source = l - static_cast<int>(delta);
  return from_bits<T>(shuffle(mask, to_bits(value), source < (l & ~(width - 1)) ? l : source, at));
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, LOCKSTEP_SIMT_AT) {
  using namespace lockstep::simt;
  const int l = lane(), source = l + static_cast<int>(delta);
  return from_bits<T>(shuffle(mask, to_bits(value), source >= (l & ~(width - 1)) + width ? l : source, at));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, LOCKSTEP_SIMT_AT) {
  using namespace lockstep::simt;
  const int l = lane(), source = l ^ lanes;
  return from_bits<T>(shuffle(mask, to_bits(value), source >= (l & ~(width - 1)) + width ? l : source, at));
}

// Votes and reductions over a warp.
inline unsigned __ballot_sync(unsigned mask, int predicate, LOCKSTEP_SIMT_AT) {
  const auto all = lockstep::simt::gather(mask, predicate != 0, at);
  unsigned bits = 0;
  for (int l = 0; l < 32; ++l)
    if (all.lanes >> l & 1) bits |= static_cast<unsigned>(all.values[l]) << l;
  return bits;
}
inline int __any_sync(unsigned mask, int predicate, LOCKSTEP_SIMT_AT) { return __ballot_sync(mask, predicate, at) != 0; }
inline int __all_sync(unsigned mask, int predicate, LOCKSTEP_SIMT_AT) { return __ballot_sync(mask, !predicate, at) == 0; }
template <lockstep::simt::Int32 T>
T __reduce_add_sync(unsigned mask, T value, LOCKSTEP_SIMT_AT) {
  return static_cast<T>(lockstep::simt::reduce(mask, static_cast<unsigned>(value), at, [](unsigned a, unsigned b) { return a + b; }));
}
template <lockstep::simt::Int32 T>
T __reduce_min_sync(unsigned mask, T value, LOCKSTEP_SIMT_AT) {
  return lockstep::simt::reduce(mask, value, at, [](T a, T b) { return a < b ? a : b; });
}
template <lockstep::simt::Int32 T>
T __reduce_max_sync(unsigned mask, T value, LOCKSTEP_SIMT_AT) {
  return lockstep::simt::reduce(mask, value, at, [](T a, T b) { return a < b ? b : a; });
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value, LOCKSTEP_SIMT_AT) {
  return lockstep::simt::reduce(mask, value, at, [](unsigned a, unsigned b) { return a | b; });
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value, LOCKSTEP_SIMT_AT) {
  return lockstep::simt::reduce(mask, value, at, [](unsigned a, unsigned b) { return a & b; });
}

// Atomics: one thread runs at a time, so they are plain.
template <class T, class Operation>
T lockstep_simt_atomic(T* at, const Operation& operation) {
  const T old = *at;
  *at = operation(old);
  return old;
}
template <lockstep::simt::AtomicInt T>
  requires(!std::is_same_v<T, long long>)
T atomicAdd(T* at, std::type_identity_t<T> value) {
  using U = std::make_unsigned_t<T>;
  return lockstep_simt_atomic(at, [=](T old) { return static_cast<T>(static_cast<U>(old) + static_cast<U>(value)); });
}
template <lockstep::simt::AtomicInt T>
T atomicMax(T* at, std::type_identity_t<T> value) {
  return lockstep_simt_atomic(at, [=](T old) { return old < value ? value : old; });
}
template <lockstep::simt::AtomicInt T>
T atomicMin(T* at, std::type_identity_t<T> value) {
  return lockstep_simt_atomic(at, [=](T old) { return value < old ? value : old; });
}
template <lockstep::simt::AtomicInt T>
T atomicOr(T* at, std::type_identity_t<T> value) {
  return lockstep_simt_atomic(at, [=](T old) { return old | value; });
}
template <lockstep::simt::AtomicInt T>
T atomicAnd(T* at, std::type_identity_t<T> value) {
  return lockstep_simt_atomic(at, [=](T old) { return old & value; });
}
template <lockstep::simt::AtomicInt T>
T atomicExch(T* at, std::type_identity_t<T> value) {
  return lockstep_simt_atomic(at, [=](T) { return value; });
}
template <lockstep::simt::AtomicInt T>
T atomicCAS(T* at, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return lockstep_simt_atomic(at, [=](T old) { return old == expected ? value : old; });
}

// Loads and stores with a cache hint.
template <class T>
T __ldg(const T* at) {
  return *at;
}
template <class T>
T __ldcs(const T* at) {
  return *at;
}
template <class T>
T __ldcg(const T* at) {
  return *at;
}
template <class T>
T __ldca(const T* at) {
  return *at;
}
template <class T>
void __stcs(T* at, std::type_identity_t<T> value) {
  *at = value;
}
template <class T>
void __stcg(T* at, std::type_identity_t<T> value) {
  *at = value;
}

#include "tests/support/simt/arithmetic.h"

#undef LOCKSTEP_SIMT_AT
