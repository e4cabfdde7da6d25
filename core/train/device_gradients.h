#pragma once

#include <memory>
#include <vector>

#include "core/backend/backend.h"
#include "core/train/program.h"

namespace lockstep {

/// Gradients of one rank on a device, from kernels' slots to buckets on their way to other ranks. A *unit* is what has a slot
/// of its own: a lane in `exact` mode, all lanes of one call in `fast`.
class DeviceGradients {
 public:
  /// `kernels` serve the program's instructions, in order (null for reduces). References must outlive it.
  DeviceGradients(const Plan& plan, const PlanProgram& program, std::vector<const Kernel*> kernels, Backend& backend, RunMode mode, LaneSpan lanes,
                  std::vector<LaneSpan> units, GradientSynchronizer& synchronizer);

  /// The slot of `unit` for the gradient that write number `write` of an instruction gives; slots of further units follow at
  /// `stride(...)` bytes. `arena` is where the reduced gradients go.
  float* slot(int instruction, std::size_t write, int unit, float* arena);
  std::int64_t stride_bytes(int instruction, std::size_t write) const;
  /// What of a unit's slot a kernel may write.
  std::size_t slot_bytes(int instruction, std::size_t write) const;
  /// Whether an instruction gives gradients: then `written` follows its kernels.
  bool ends(int instruction) const;
  /// What all folds of a step read and write.
  double fold_bytes() const;
  /// The kernels of an instruction are queued, on or joined to the main queue: folds, and starts every bucket that is complete.
  void written(int instruction, float* arena);
  /// Joins the reductions to the main queue.
  void finish();

 private:
  struct Path {
    const Kernel* unpacker = nullptr;  ///< the kernel whose private layout the slots have, or null
    int unpack_write = 0;
    bool shared = false;      ///< several uses, summed unit by unit in the plain layout
    bool direct = false;      ///< the one unit's slot is the arena itself
    int last_instruction = -1;
    std::int64_t plain = 0, slot = 0;  ///< elements: of the tensor, of a unit's slot (a multiple of 64)
    std::int64_t offset = 0;           ///< of the first unit's slot
    std::vector<std::unique_ptr<Kernel>> folds;  ///< by node
  };
  void lay_out();
  void make_folds(Path& path);
  void add_use(int instruction, std::size_t write, Path& path);
  void fold(std::size_t parameter, float* arena);
  float* node_arena(std::size_t node, float* arena) const { return node == 0 ? arena : node_arenas_[node - 1].as<float>(); }
  float* slot_of(const Path& path, int unit) const { return slots_.as<float>() + path.offset + unit * path.slot; }

  const Plan& plan_;
  const PlanProgram& program_;
  std::vector<const Kernel*> kernels_;
  Backend& backend_;
  Device& device_;
  RunMode mode_;
  std::vector<LaneSpan> units_;
  GradientSynchronizer& synchronizer_;
  std::vector<LaneSpan> nodes_;           ///< what this rank sends: nodes of the lane tree, or all its lanes
  std::vector<LaneSpan> node_units_;      ///< the units of each node
  std::vector<Path> paths_;               ///< by parameter
  std::vector<int> bucket_instruction_;   ///< by bucket: the last instruction that writes into it
  std::vector<std::vector<bool>> first_use_;  ///< by instruction and write
  DeviceBuffer slots_, use_slot_, use_plain_;  ///< the last two: one use of a shared gradient, all units
  std::int64_t use_stride_ = 0;
  std::vector<DeviceBuffer> node_arenas_;  ///< of the second node on
  std::unique_ptr<Kernel> add_;
};

}  // namespace lockstep
