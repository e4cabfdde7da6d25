#include "core/backend/cpu/simd.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>

namespace lockstep::cpu {

namespace {

/// The level that oneDNN's variable allows; unknown words allow everything, as they do there.
SimdLevel allowed_level() {
  const char* text = std::getenv("ONEDNN_MAX_CPU_ISA");
  if (!text) text = std::getenv("DNNL_MAX_CPU_ISA");
  std::string word = text ? text : "";
  std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (word == "SSE41" || word == "AVX") return SimdLevel::baseline;
  if (word == "AVX2" || word == "AVX2_VNNI") return SimdLevel::avx2;
  return SimdLevel::avx512;
}

SimdLevel processor_level() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return SimdLevel::baseline;
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("avx512dq");
  return wide ? SimdLevel::avx512 : SimdLevel::avx2;
}

}  // namespace

SimdLevel simd_level() {
  static const SimdLevel level = std::min(processor_level(), allowed_level());
  return level;
}

const char* simd_level_name() {
  switch (simd_level()) {
    case SimdLevel::avx512: return "avx512";
    case SimdLevel::avx2: return "avx2";
    case SimdLevel::baseline: return "baseline";
  }
  return "";
}

}  // namespace lockstep::cpu
