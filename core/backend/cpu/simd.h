#pragma once

namespace lockstep::cpu {

/// The instruction-set levels that our own loops are compiled for.
enum class SimdLevel { baseline, avx2, avx512 };

/// The level in use: what the processor has, but no more than ONEDNN_MAX_CPU_ISA allows (AVX2, AVX512_CORE, ...), so
/// that one variable limits the whole engine. Decided once.
SimdLevel simd_level();
const char* simd_level_name();

/// A loop body for `dispatch`: `[=]() LOCKSTEP_INLINE { for ... }`.
#define LOCKSTEP_INLINE __attribute__((always_inline))

template <class Body>
[[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,prefer-vector-width=512"), gnu::flatten]] void run_avx512(const Body& body) {
  body();
}
template <class Body>
[[gnu::target("avx2,fma"), gnu::flatten]] void run_avx2(const Body& body) {
  body();
}
template <class Body>
[[gnu::flatten]] void run_baseline(const Body& body) {
  body();
}

/// Runs plain loops, compiled three times by one source. All that `body` calls must be inlined (formulas in headers);
/// functions of other files run at the baseline. No intrinsics: the compiler vectorises over the innermost loop.
template <class Body>
void dispatch(const Body& body) {
  switch (simd_level()) {
    case SimdLevel::avx512: return run_avx512(body);
    case SimdLevel::avx2: return run_avx2(body);
    case SimdLevel::baseline: return run_baseline(body);
  }
}

}  // namespace lockstep::cpu
