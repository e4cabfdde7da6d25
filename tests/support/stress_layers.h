#pragma once

namespace lockstep {

/// Registers the plug-ins of this file: layers that live in the tests alone and use all that the interfaces promise.
/// Call it once from a test that names them in a run file; it makes the linker keep the file.
///
/// "stress_mix" = width: two inputs x, z [k]; parameter w [k]; carried state h [k] a sample position:
///   h' = 0.5 h + w x,  y = h' z;  the gradient stops at h.
/// "centred_squares" = target: a loss whose value needs the mean of the whole batch before its own sum:
///   e = (p - mean(p)) - t,  loss = sum e^2 / n.
void use_stress_layers();

}  // namespace lockstep
