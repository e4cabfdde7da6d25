#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <dnnl.hpp>

#include "core/base/error.h"

namespace lockstep::cpu {

/// The processor as oneDNN sees it.
const dnnl::engine& onednn_engine();

/// Runs `act`; a failure of the library becomes an `internal` error that carries the library's own text.
template <class Act>
auto guard_onednn(const std::string& where, const Act& act) {
  try {
    return act();
  } catch (const dnnl::error& error) {
    fail(ErrorKind::internal, "{}: oneDNN: {} (status {})", where, error.what(), static_cast<int>(error.status));
  }
}

/// One oneDNN primitive with the layouts of its arguments. Made on a prepared thread; `run` may be called from several
/// threads at once: each call borrows memory objects of its own, so that nothing is allocated in the usual case.
class Executable {
 public:
  struct Argument {
    int id = 0;
    dnnl::memory::desc desc;
  };

  /// `scratch` is the primitive's scratchpad, of user mode.
  Executable(dnnl::primitive primitive, std::vector<Argument> arguments, dnnl::memory::desc scratch);
  ~Executable();

  std::size_t scratch_bytes() const { return scratch_.get_size(); }
  /// Pointers in the order of the arguments; `scratch` holds scratch_bytes().
  void run(std::span<void* const> pointers, std::byte* scratch) const;

 private:
  struct Context;
  std::unique_ptr<Context> borrow() const;

  dnnl::primitive primitive_;
  std::vector<Argument> arguments_;
  dnnl::memory::desc scratch_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Context>> idle_;
};

/// Copies between two layouts of one tensor, converting its type.
class Reorder {
 public:
  Reorder() = default;
  Reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to);
  void run(const void* from, void* to) const;

 private:
  std::unique_ptr<Executable> executable_;
};

}  // namespace lockstep::cpu
