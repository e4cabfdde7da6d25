#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/backend/kernel.h"

namespace lockstep::cuda {

using MakeKernel = std::function<std::unique_ptr<Kernel>(const OpSpec&)>;

/// The GPU's kernels by op name.
std::map<std::string, MakeKernel, std::less<>>& kernels();

/// The kernel of an op; `run_file` error where there is none.
std::unique_ptr<Kernel> make_kernel(const OpSpec& spec);

/// A kernel's registration line: `const RegisterKernel registered("max_pool.forward", make_forward);`
struct RegisterKernel {
  RegisterKernel(std::string op, MakeKernel make) { kernels().emplace(std::move(op), std::move(make)); }
};

/// A kernel from one function that launches, for kernels without state of their own.
MakeKernel simple_kernel(std::function<void(const OpSpec&, const KernelCall&)> run,
                         std::function<std::size_t(const OpSpec&)> workspace = {}, bool takes_lanes = false);

}  // namespace lockstep::cuda
