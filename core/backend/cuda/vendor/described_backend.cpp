// A GPU that is described only: kernels are made, so that their engines are known and their plans compiled, and never run.

#include "core/backend/backend.h"
#include "core/backend/cuda/register.h"
#include "core/backend/cuda/vendor/cudnn.h"
#include "core/backend/cuda/vendor/described_gpu.h"
#include "core/backend/cuda/vendor/engine_choice.h"
#include "core/backend/cuda/vendor_options.h"
#include "core/base/error.h"
#include "core/base/registry.h"

namespace lockstep::cuda {

namespace {

/// Registered as "described", with the options
///   described  a file that describes the GPU (described_gpu.h)
///   plans      a file of plans to begin with; it may be absent
///   compile    plans are made; false: engines are named only
class DescribedBackend : public Backend {
 public:
  std::string name() const override { return "described"; }
  std::string describe() const override { return "described " + plan_store().device().text(); }
  std::vector<Precision> precisions() const override { return {Precision::bf16, Precision::f16, Precision::tf32, Precision::f32}; }
  /// The host's: there is no memory that kernels could work in.
  Device& device() override { return host_device(); }
  WorkOrder order() const override { return WorkOrder::by_instruction; }
  std::unique_ptr<Kernel> make(const OpSpec& spec) const override { return make_kernel(spec); }
  KernelChoices* choices() const override { return &plan_store(); }
  int workers() const override { return 1; }
  void parallel(int tasks, const std::function<void(int task, int worker)>& body) override {
    for (int task = 0; task < tasks; ++task) body(task, 0);
  }
};

std::unique_ptr<Backend> make_backend(Options& options) {
  DescribedGpu gpu = read_described_gpu(options.text("described"));
  VendorOptions& vendor = vendor_options();
  vendor.plans = options.text("plans", "");
  vendor.compile = options.boolean("compile", true);
  vendor.properties = std::move(gpu.properties);
  vendor.gpu = std::move(gpu.name);
  vendor.sm = gpu.sm;
  if (const auto there = PlanFile::read(vendor.plans); there && there->device != plan_device())
    fail(ErrorKind::usage, "cuda: \"{}\" holds plans for {}: expected {}", vendor.plans, there->device.text(), plan_device().text());
  return std::make_unique<DescribedBackend>();
}

const Register<Backend> registered{{.name = "described", .summary = "a GPU that is not here, for making its plans", .make = make_backend}};

}  // namespace

}  // namespace lockstep::cuda
