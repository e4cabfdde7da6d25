#pragma once

#include <array>
#include <memory>
#include <vector>

#include "core/backend/backend.h"
#include "core/train/batch_source.h"

namespace lockstep {

/// The model's inputs on a device: two sets, so that a batch travels while another one is worked on. Fields that the
/// source delivers as stored rows travel as they are and are prepared by "input.prepare".
class DeviceInput {
 public:
  /// `rows` is the most of a batch. References must outlive it.
  DeviceInput(Backend& backend, std::vector<TensorSpec> fields, std::int64_t rows);

  /// Starts to bring a batch into the set that is not current: the work of the batch before the current one must be done.
  /// `slot` is read before it returns.
  void stage(const BatchSlot& slot);
  /// The staged set becomes the current one; what the main queue does from now on sees it.
  void begin();
  /// Queues what the current set still needs to be ready: the first work of a batch on the main queue.
  void prepare();

  /// What `prepare` reads and writes for the current set.
  double prepared_bytes() const;

  int current() const { return current_; }
  /// Which fields of the current set arrive stored and moved: what `prepare` queues depends on it.
  std::int64_t kind() const;
  /// The field's first row, of the current set.
  std::byte* field(int index) const;
  const BatchPosition& position() const { return sets_[static_cast<std::size_t>(current_)].position; }
  std::int64_t rows() const { return sets_[static_cast<std::size_t>(current_)].rows; }

 private:
  struct Field {
    DeviceBuffer memory, stored, moves;
    StagingBuffer staging, moves_staging;
    bool is_stored = false, moved = false;
  };
  struct Set {
    std::vector<Field> fields;
    BatchPosition position;
    std::int64_t rows = 0;
  };
  struct Preparation {
    std::unique_ptr<Kernel> kernel;
    DeviceBuffer scale, offset;
  };
  void stage_ready(Field& field, std::size_t index, const BatchSlot& slot);
  void stage_stored(Field& field, std::size_t index, const BatchSlot& slot);
  void make_preparation(std::size_t index, const StoredRows& rows);

  Backend& backend_;
  Device& device_;
  std::vector<TensorSpec> specs_;
  std::int64_t capacity_;
  std::array<Set, 2> sets_;
  std::vector<Preparation> preparations_;  ///< by field
  int current_ = 1;
};

}  // namespace lockstep
