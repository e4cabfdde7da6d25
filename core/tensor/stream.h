#pragma once

namespace lockstep {

/// A queue of work on a device, owned by a backend. On the CPU work runs at once and `native` is null.
struct StreamView {
  void* native = nullptr;
};

}  // namespace lockstep
