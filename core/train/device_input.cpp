#include "core/train/device_input.h"

#include <cstring>

namespace lockstep {

DeviceInput::DeviceInput(Backend& backend, std::vector<TensorSpec> fields, std::int64_t rows)
    : backend_(backend), device_(backend.device()), specs_(std::move(fields)), capacity_(rows), preparations_(specs_.size()) {
  for (Set& set : sets_)
    for (const TensorSpec& spec : specs_) {
      const std::size_t bytes = spec.bytes() * static_cast<std::size_t>(capacity_);
      set.fields.emplace_back();
      set.fields.back().memory = DeviceBuffer(device_, bytes, "input");
      set.fields.back().staging = StagingBuffer(device_, bytes);
    }
}

std::byte* DeviceInput::field(int index) const {
  return sets_[static_cast<std::size_t>(current_)].fields[static_cast<std::size_t>(index)].memory.data();
}

std::int64_t DeviceInput::kind() const {
  std::int64_t bits = 0;
  for (const Field& field : sets_[static_cast<std::size_t>(current_)].fields) bits = bits * 4 + (field.is_stored ? 2 : 0) + (field.moved ? 1 : 0);
  return bits;
}

void DeviceInput::stage(const BatchSlot& slot) {
  const StreamView copies = device_.stream(Queue::kCopy);
  Set& set = sets_[static_cast<std::size_t>(1 - current_)];
  require(slot.rows <= capacity_ && slot.inputs.size() == specs_.size(), "input: a batch of {} rows and {} fields: expected at most {} and {}",
          slot.rows, slot.inputs.size(), capacity_, specs_.size());
  device_.wait(copies);  // the staging memory may still be on its way from two batches ago
  set.position = slot.position;
  set.rows = slot.rows;
  for (std::size_t f = 0; f < specs_.size(); ++f) {
    const bool stored = f < slot.stored.size() && slot.stored[f].rows.data != nullptr;
    set.fields[f].is_stored = stored;
    if (stored)
      stage_stored(set.fields[f], f, slot);
    else
      stage_ready(set.fields[f], f, slot);
  }
}

void DeviceInput::stage_ready(Field& field, std::size_t index, const BatchSlot& slot) {
  const std::size_t bytes = specs_[index].bytes() * static_cast<std::size_t>(slot.rows);
  if (bytes == 0) return;
  std::memcpy(field.staging.data(), slot.inputs[index].data, bytes);
  device_.copy(field.memory.data(), field.staging.data(), bytes, device_.stream(Queue::kCopy));
}

void DeviceInput::stage_stored(Field& field, std::size_t index, const BatchSlot& slot) {
  const StoredRows& rows = slot.stored[index];
  const StreamView copies = device_.stream(Queue::kCopy);
  if (!preparations_[index].kernel) make_preparation(index, rows);
  const auto row_bytes = static_cast<std::size_t>(specs_[index].elements());
  if (field.stored.bytes() == 0) field.stored = DeviceBuffer(device_, row_bytes * static_cast<std::size_t>(capacity_), "stored input");
  const auto count = static_cast<std::size_t>(slot.rows);
  field.moved = rows.moves != nullptr;
  if (count == 0) return;
  std::memcpy(field.staging.data(), rows.rows.data, row_bytes * count);
  device_.copy(field.stored.data(), field.staging.data(), row_bytes * count, copies);
  if (!field.moved) return;
  if (field.moves.bytes() == 0) {
    field.moves = DeviceBuffer(device_, sizeof(PixelMove) * static_cast<std::size_t>(capacity_), "input moves");
    field.moves_staging = StagingBuffer(device_, field.moves.bytes());
  }
  std::memcpy(field.moves_staging.data(), rows.moves, sizeof(PixelMove) * count);
  device_.copy(field.moves.data(), field.moves_staging.data(), sizeof(PixelMove) * count, copies);
}

/// Scale and offset were fitted before the run, so what the first batch brings holds for all.
void DeviceInput::make_preparation(std::size_t index, const StoredRows& rows) {
  const StreamView main = device_.stream(Queue::kMain);
  Preparation& preparation = preparations_[index];
  const auto bring = [&](const std::vector<float>& values) {
    DeviceBuffer memory(device_, values.size() * sizeof(float), "input scale");
    device_.copy(memory.data(), values.data(), memory.bytes(), main);
    return memory;
  };
  preparation.scale = bring(rows.scale);
  preparation.offset = bring(rows.offset);
  device_.wait(main);
  const TensorSpec numbers{Shape{static_cast<std::int64_t>(rows.scale.size())}, Dtype::f32};
  const TensorSpec moves{Shape{static_cast<std::int64_t>(sizeof(PixelMove) / sizeof(std::int32_t))}, Dtype::i32};
  preparation.kernel = backend_.make({.op = "input.prepare",
                                      .layer = "input",
                                      .kind = PhaseKind::rows,
                                      .reads = {{Role::input, {specs_[index].shape, Dtype::u8}}, {Role::input, moves}, {Role::parameter, numbers}, {Role::parameter, numbers}},
                                      .writes = {{Role::output, specs_[index]}},
                                      .lane_rows = capacity_,
                                      .max_rows = capacity_});
}

void DeviceInput::begin() {
  current_ = 1 - current_;
  device_.order(device_.stream(Queue::kCopy), device_.stream(Queue::kMain));
}

void DeviceInput::prepare() {
  Set& set = sets_[static_cast<std::size_t>(current_)];
  for (std::size_t f = 0; f < specs_.size(); ++f) {
    const Field& field = set.fields[f];
    if (!field.is_stored || set.rows == 0) continue;
    const void* reads[] = {field.stored.data(), field.moved ? field.moves.data() : nullptr, preparations_[f].scale.data(), preparations_[f].offset.data()};
    void* writes[] = {field.memory.data()};
    preparations_[f].kernel->run({.reads = reads, .writes = writes, .rows = set.rows, .stream = device_.stream(Queue::kMain)});
  }
}

double DeviceInput::prepared_bytes() const {
  const Set& set = sets_[static_cast<std::size_t>(current_)];
  double bytes = 0;
  for (std::size_t f = 0; f < specs_.size(); ++f)
    if (set.fields[f].is_stored) bytes += static_cast<double>(set.rows) * static_cast<double>(specs_[f].elements() + static_cast<std::int64_t>(specs_[f].bytes()));
  return bytes;
}

}  // namespace lockstep
