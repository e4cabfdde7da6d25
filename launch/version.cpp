#include "launch/version.h"

#include <string_view>

#include <fmt/format.h>

#include "distributed/mpi_plug_in.h"
#include "launch/nvidia_libraries.h"
#include "lockstep_version.h"

namespace lockstep {
namespace {

std::string_view or_none(std::string_view fact) { return fact.empty() ? "not in this build" : fact; }

std::string instruction_set() {
  std::string found = "x86-64-v2";
  const auto add = [&](bool has, std::string_view name) {
    if (has) found += fmt::format(", {}", name);
  };
  add(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), "AVX2");
  add(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"), "AVX-512");
  add(__builtin_cpu_supports("avx512bf16"), "AVX512-BF16");
  return found;
}

}  // namespace

std::string version_line() {
  const std::string_view commit = LOCKSTEP_COMMIT;
  return fmt::format("lockstep {} ({}{}, {})", LOCKSTEP_VERSION, commit.empty() ? "" : fmt::format("git {}, ", commit), LOCKSTEP_BUILD_TYPE,
                     LOCKSTEP_COMPILER);
}

std::string describe_version() {
  std::string text = version_line() + "\n";
  const auto line = [&](std::string_view name, std::string_view fact) { text += fmt::format("  {:<13} {}\n", name, fact); };
  line("HDF5", or_none(LOCKSTEP_HDF5_VERSION));
  line("oneDNN", or_none(LOCKSTEP_DNNL_VERSION));
  line("Boost", or_none(LOCKSTEP_BOOST_VERSION));
  line("MPI plug-in", describe_mpi_plug_in());
  line("CUDA plug-in", or_none(LOCKSTEP_CUDA_VERSION));
  const int driver = nvidia_driver_version();
  line("NVIDIA driver", driver ? fmt::format("for CUDA {}.{}", driver / 1000, driver % 1000 / 10) : "none");
  line("processor", instruction_set());
  return text;
}

}  // namespace lockstep
