#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/backend/kernel.h"

namespace lockstep::cpu {

using MakeKernel = std::function<std::unique_ptr<Kernel>(const OpSpec&)>;

/// The CPU's kernels by op name.
std::map<std::string, MakeKernel, std::less<>>& kernels();

/// A kernel's registration line: `const RegisterKernel registered("conv2d.forward", make_forward);`
struct RegisterKernel {
  RegisterKernel(std::string op, MakeKernel make) { kernels().emplace(std::move(op), std::move(make)); }
};

/// A kernel from one function, for kernels without state of their own:
/// `const RegisterKernel registered("x", simple_kernel([](const OpSpec& spec, const KernelCall& call) { ... }));`
MakeKernel simple_kernel(std::function<void(const OpSpec&, const KernelCall&)> run,
                         std::function<std::size_t(const OpSpec&)> workspace = {});

}  // namespace lockstep::cpu
