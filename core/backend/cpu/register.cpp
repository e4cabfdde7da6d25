#include "core/backend/cpu/register.h"

namespace lockstep::cpu {

namespace {

class SimpleKernel : public Kernel {
 public:
  SimpleKernel(OpSpec spec, std::function<void(const OpSpec&, const KernelCall&)> run, std::size_t workspace)
      : spec_(std::move(spec)), run_(std::move(run)), workspace_(workspace) {}

  void run(const KernelCall& call) const override { run_(spec_, call); }
  std::size_t workspace_bytes() const override { return workspace_; }
  std::string implementation() const override { return "loops"; }

 private:
  OpSpec spec_;
  std::function<void(const OpSpec&, const KernelCall&)> run_;
  std::size_t workspace_;
};

}  // namespace

std::map<std::string, MakeKernel, std::less<>>& kernels() {
  static std::map<std::string, MakeKernel, std::less<>> all;
  return all;
}

MakeKernel simple_kernel(std::function<void(const OpSpec&, const KernelCall&)> run, std::function<std::size_t(const OpSpec&)> workspace) {
  return [run = std::move(run), workspace = std::move(workspace)](const OpSpec& spec) -> std::unique_ptr<Kernel> {
    return std::make_unique<SimpleKernel>(spec, run, workspace ? workspace(spec) : 0);
  };
}

}  // namespace lockstep::cpu
