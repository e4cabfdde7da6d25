#pragma once

namespace lockstep::simt {

/// In the shim the CPU's engine lends the kernels that are a library's on a GPU: conv2d.* and dense.*. They run when their
/// stream gets there, on one lane a call; f16 goes through f32. What the kernels made from now on say of themselves:
struct LentKernels {
  bool rows_are_independent = true;
};
LentKernels& lent_kernels();

}  // namespace lockstep::simt
