#pragma once

#include <cstddef>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace lockstep::simt {

/// A stack, as AddressSanitizer wants to hear of it whenever another one is taken.
struct Stack {
  const void* bottom = nullptr;
  std::size_t bytes = 0;
};

#ifdef __SANITIZE_ADDRESS__
/// Before a switch; `kept` holds what the one that leaves needs when it comes back, null where it never does.
inline void before_switch(void** kept, const Stack& to) { __sanitizer_start_switch_fiber(kept, to.bottom, to.bytes); }
/// After it, on the other stack.
inline void after_switch(void* kept, Stack* from) { __sanitizer_finish_switch_fiber(kept, from ? &from->bottom : nullptr, from ? &from->bytes : nullptr); }
#else
inline void before_switch(void**, const Stack&) {}
inline void after_switch(void*, Stack*) {}
#endif

}  // namespace lockstep::simt
