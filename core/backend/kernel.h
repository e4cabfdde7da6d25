#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/backend/step_block.h"
#include "core/model/phase.h"
#include "core/tensor/stream.h"
#include "core/tensor/tensor.h"

namespace lockstep {

/// What a kernel does with memory it is given to write.
enum class WriteMode : std::uint8_t {
  overwrite,
  accumulate,  ///< adds to what is there; only where the phase's operand says can_accumulate
  skip,        ///< not wanted: the pointer is null
};

struct OperandSpec {
  Role role = Role::input;
  TensorSpec spec;  ///< of one sample for per-sample roles, whole otherwise; statistics are [size] f64
  WriteMode mode = WriteMode::overwrite;
};

/// Everything a backend needs to choose a kernel. Operands stand in the order of the phase.
struct OpSpec {
  std::string op;     ///< "conv2d.forward"
  std::string layer;  ///< the layer's stable name: for messages and random streams
  PhaseKind kind = PhaseKind::rows;
  std::vector<OperandSpec> reads, writes;
  Attributes attributes;
  std::int64_t lane_rows = 0;  ///< rows of a full lane: the usual call
  std::int64_t max_rows = 0;   ///< the most rows of one call
};

/// One call. Pointers stand in the order of the phase's operands and point at the call's first row.
struct KernelCall {
  std::span<const void* const> reads;
  std::span<void* const> writes;
  std::int64_t rows = 0;       ///< samples in this call; 0 for `once`; what an engine op says
  std::int64_t first_row = 0;  ///< position in the global batch of the first of them
  const StepBlock* step = nullptr;  ///< in the device's memory
  std::byte* workspace = nullptr;  ///< workspace_bytes(), 64-byte aligned, contents undefined
  StreamView stream;

  /// A per-lane call of a kernel that takes several lanes at once: lane i has the rows [i * lane_rows, (i + 1) * lane_rows)
  /// of the call, none where they lie beyond `rows`, and its result of write w lies lane_strides[w] * i bytes behind
  /// writes[w]. An empty lane's results are zeros. Per-sample writes follow their rows, whatever the lane.
  int lanes = 1;
  std::int64_t lane_rows = 0;  ///< 0: one lane, all rows
  std::span<const std::int64_t> lane_strides;

  /// Where a kernel that cannot throw notes bad content: 1 + the largest batch row that it was found in (0: none). Null
  /// where kernels throw.
  std::int64_t* fault = nullptr;
};

/// A kernel made once at binding. `run` is const and may be called from several threads at once, each with its own
/// workspace; it neither allocates nor throws in the usual case. On a device that is not the host it queues on the call's
/// stream and returns; what it queues may be recorded, so addresses and counts are all that it keeps of a call.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(const KernelCall& call) const = 0;
  virtual std::size_t workspace_bytes() const { return 0; }
  /// Whether one call of a per-lane kernel may cover several lanes (KernelCall::lanes).
  virtual bool takes_lanes() const { return false; }
  /// Whether a row's bits are known not to depend on how many rows share a call. Where they are not, `exact` mode tries
  /// it at binding, and calls lane by lane where they do depend.
  virtual bool rows_are_independent() const { return true; }
  /// For `plan`: which implementation serves, such as "onednn jit:avx2".
  virtual std::string implementation() const = 0;

  /// Packed copies of parameters. A kernel that wants parameter operand `read` in its own layout says how many bytes
  /// it takes (0: the plain f32 tensor); the program keeps the copy and repacks it whenever the parameters change.
  virtual std::size_t packed_bytes(int read) const {
    (void)read;
    return 0;
  }
  /// Names the layout of the copy. Kernels that give the same name to copies of one parameter share it; empty: nobody does.
  virtual std::string packed_layout(int read) const {
    (void)read;
    return "";
  }
  virtual void pack(int read, const float* plain, std::byte* packed, StreamView stream) const {
    (void)read, (void)plain, (void)packed, (void)stream;
  }

  /// Gradients in a layout of the kernel's own: floats of one lane's slot for operand `write` (0: plain). Slots are
  /// added element by element, so padding must be written as zero; `unpack` turns a sum into the plain tensor.
  virtual std::int64_t slot_elements(int write) const {
    (void)write;
    return 0;
  }
  virtual void unpack(int write, const float* slot, float* plain, StreamView stream) const {
    (void)write, (void)slot, (void)plain, (void)stream;
  }
};

}  // namespace lockstep
