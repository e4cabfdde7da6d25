#include "launch/device_choice.h"

#include <cstdlib>

#include "core/base/registry.h"
#include "distributed/agree.h"
#include "distributed/nccl_request.h"
#include "distributed/plug_in.h"
#include "distributed/start_up.h"
#include "launch/kernel_agreement.h"
#include "launch/nvidia_libraries.h"
#include "launch/shared_files.h"

namespace lockstep {
namespace {

using Kind = RunOptions::DeviceKind;

const char* variable(const char* name) { return std::getenv(name); }

std::unique_ptr<Backend> open_cpu(int threads) {
  Value options{Value::Data(Value::Table{})};
  options.set("cpu", Value::boolean(true));
  options.set("threads", Value::integer(threads));
  return make_plug_in<Backend>(options);
}

enum class Engines { as_known, timed };

std::unique_ptr<Backend> open_cuda(const CudaPlugIn& cuda, Engines engines) {
  if (!Registry<Backend>::instance().find("cuda")) {
    try {
      cuda.open();
    } catch (const Error& error) {
      const std::string why = error.what();
      const bool lacks = why.find("cannot open shared object") != std::string::npos;
      fail(ErrorKind::usage, "no cuda device: {}{}", why,
           lacks ? "; install cuDNN and a CUDA toolkit, or name their folders in LOCKSTEP_CUDA_LIBRARIES" : "");
    }
  }
  Value options{Value::Data(Value::Table{})};
  options.set("cuda", Value::boolean(true));
  options.set("plans", Value::text(kept_plans(variable)));
  options.set("carried", Value::text(shared_folder() + "/plans"));
  options.set("tune", Value::boolean(engines == Engines::timed));
  return make_plug_in<Backend>(options);
}

ChosenBackend choose_alone(Kind kind, int threads, const CudaPlugIn& cuda) {
  if (kind == Kind::cpu) return {open_cpu(threads), ""};
  if (!cuda.has_driver()) {
    if (kind == Kind::cuda) fail(ErrorKind::usage, "no cuda device: no NVIDIA driver is installed; set run.device to \"cpu\" or \"auto\"");
    return {open_cpu(threads), ""};
  }
  try {
    return {open_cuda(cuda, Engines::as_known), ""};
  } catch (const Error& error) {
    if (kind == Kind::cuda || error.kind() != ErrorKind::usage) throw;
    return {open_cpu(threads), fmt::format("device: cpu, since {}", error.what())};
  }
}

}  // namespace

CudaPlugIn installed_cuda_plug_in() {
  return {.has_driver = [] { return nvidia_driver_version() > 0; },
          .open =
              [] {
                open_nvidia_libraries(variable);
                open_plug_in({.file = "liblockstep_cuda.so"}, kOpenNccl);
              }};
}

ChosenBackend choose_backend(const RunOptions& options, int threads, Communicator& ranks, const CudaPlugIn& cuda) {
  ChosenBackend chosen;
  agree_on(ranks, [&] { chosen = choose_alone(options.device, threads, cuda); });
  compare_facts(ranks, {{.name = "device",
                         .value = chosen.note.empty() ? chosen.backend->name() : chosen.note,
                         .remedy = "give every rank a device, or set run.device to \"cpu\""}});
  return chosen;
}

std::unique_ptr<Backend> open_tuning_backend(const CudaPlugIn& cuda) {
  if (!cuda.has_driver()) fail(ErrorKind::usage, "plan: --tune times engines on the GPU at hand, and no NVIDIA driver is installed");
  return open_cuda(cuda, Engines::timed);
}

}  // namespace lockstep
