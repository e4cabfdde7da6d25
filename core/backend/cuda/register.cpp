#include "core/backend/cuda/register.h"

#include "core/base/error.h"
#include "core/base/text.h"

namespace lockstep::cuda {

namespace {

class SimpleKernel : public Kernel {
 public:
  SimpleKernel(OpSpec spec, std::function<void(const OpSpec&, const KernelCall&)> run, std::size_t workspace, bool takes_lanes)
      : spec_(std::move(spec)), run_(std::move(run)), workspace_(workspace), takes_lanes_(takes_lanes) {}

  void run(const KernelCall& call) const override { run_(spec_, call); }
  std::size_t workspace_bytes() const override { return workspace_; }
  bool takes_lanes() const override { return takes_lanes_; }
  std::string implementation() const override { return "own cuda"; }

 private:
  OpSpec spec_;
  std::function<void(const OpSpec&, const KernelCall&)> run_;
  std::size_t workspace_;
  bool takes_lanes_;
};

}  // namespace

std::map<std::string, MakeKernel, std::less<>>& kernels() {
  static std::map<std::string, MakeKernel, std::less<>> all;
  return all;
}

std::unique_ptr<Kernel> make_kernel(const OpSpec& spec) {
  const auto it = kernels().find(spec.op);
  if (it != kernels().end()) return it->second(spec);
  std::vector<std::string> known;
  for (const auto& [name, make] : kernels()) known.push_back(name);
  fail(ErrorKind::run_file, "{}: no cuda kernel in this build{}", spec.op, hint(spec.op, known));
}

MakeKernel simple_kernel(std::function<void(const OpSpec&, const KernelCall&)> run, std::function<std::size_t(const OpSpec&)> workspace,
                         bool takes_lanes) {
  return [run = std::move(run), workspace = std::move(workspace), takes_lanes](const OpSpec& spec) -> std::unique_ptr<Kernel> {
    return std::make_unique<SimpleKernel>(spec, run, workspace ? workspace(spec) : 0, takes_lanes);
  };
}

}  // namespace lockstep::cuda
