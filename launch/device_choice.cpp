#include "launch/device_choice.h"

#include <cstdlib>

#include "core/base/registry.h"
#include "distributed/agree.h"
#include "distributed/nccl_request.h"
#include "distributed/plug_in.h"
#include "distributed/start_up.h"
#include "launch/nvidia_libraries.h"

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

std::unique_ptr<Backend> open_cuda(const CudaPlugIn& cuda) {
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
  if (const char* plans = variable("LOCKSTEP_CUDA_PLANS")) options.set("plans", Value::text(plans));
  return make_plug_in<Backend>(options);
}

ChosenBackend choose_alone(Kind kind, int threads, const CudaPlugIn& cuda) {
  if (kind == Kind::cpu) return {open_cpu(threads), ""};
  if (!cuda.has_driver()) {
    if (kind == Kind::cuda) fail(ErrorKind::usage, "no cuda device: no NVIDIA driver is installed; set run.device to \"cpu\" or \"auto\"");
    return {open_cpu(threads), ""};
  }
  try {
    return {open_cuda(cuda), ""};
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

}  // namespace lockstep
