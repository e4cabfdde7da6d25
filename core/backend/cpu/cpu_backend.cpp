#include "core/backend/cpu/cpu_backend.h"

#include <unistd.h>

#include <dnnl.hpp>
#include <fmt/format.h>

#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"
#include "core/base/registry.h"
#include "core/base/text.h"

namespace lockstep::cpu {

namespace {

constexpr int kPrimitiveCache = 4096;

std::string library_isa() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      return "sse41";
    case dnnl::cpu_isa::avx:
      return "avx";
    case dnnl::cpu_isa::avx2:
      return "avx2";
    case dnnl::cpu_isa::avx2_vnni:
      return "avx2_vnni";
    case dnnl::cpu_isa::avx512_core:
      return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_amx:
      return "avx512_core_amx";
    default:
      return fmt::format("isa_{:#x}", static_cast<unsigned>(dnnl::get_effective_cpu_isa()));
  }
}

}  // namespace

CpuBackend::CpuBackend(int threads) : pool_(threads) { dnnl::set_primitive_cache_capacity(kPrimitiveCache); }

std::string CpuBackend::describe() const {
  const dnnl_version_t* version = dnnl_version();
  const auto kib = [](int what) { return std::max(0L, sysconf(what)) / 1024; };
  return fmt::format("cpu {}, oneDNN {}.{}.{} {}, caches {}/{} KiB", simd_level_name(), version->major, version->minor, version->patch,
                     library_isa(), kib(_SC_LEVEL1_DCACHE_SIZE), kib(_SC_LEVEL2_CACHE_SIZE));
}

std::vector<Precision> CpuBackend::precisions() const {
  const auto has = [](dnnl::cpu_isa level) {
    const auto bits = static_cast<unsigned>(level);
    return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & bits) == bits;
  };
  const bool multiplies_faster = has(dnnl::cpu_isa::avx512_core_amx) || (has(dnnl::cpu_isa::avx512_core_bf16) && __builtin_cpu_is("amd"));
  if (multiplies_faster) return {Precision::bf16, Precision::f32};
  return {Precision::f32, Precision::bf16};
}

std::unique_ptr<Kernel> CpuBackend::make(const OpSpec& spec) const {
  for (const auto* operands : {&spec.reads, &spec.writes})
    for (const OperandSpec& operand : *operands)
      if (operand.spec.dtype == Dtype::f16) fail(ErrorKind::run_file, "{}: the cpu engine computes f32 and bf16, got f16", spec.op);
  const auto it = kernels().find(spec.op);
  if (it != kernels().end()) return it->second(spec);
  std::vector<std::string> known;
  for (const auto& [name, make] : kernels()) known.push_back(name);
  fail(ErrorKind::run_file, "{}: no cpu kernel in this build{}", spec.op, hint(spec.op, known));
}

namespace {

const Register<Backend> registered{
    {.name = "cpu", .summary = "the processor's cores; `threads` workers a rank", .make = [](Options& options) -> std::unique_ptr<Backend> {
       options.take("cpu");
       const auto threads = options.integer("threads", 1, {.least = 1, .most = 4096});
       return std::make_unique<CpuBackend>(static_cast<int>(threads));
     }}};

}  // namespace

}  // namespace lockstep::cpu
