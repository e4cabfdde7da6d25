#include "io/loader.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include "core/base/error.h"
#include "io/decoder.h"

namespace lockstep {

struct Loader::Worker {
  struct Slot {
    std::vector<Tensor> memory;                 // by field: [capacity, ...], u8 where it stays stored
    std::vector<std::vector<PixelMove>> moves;  // by field: [capacity] where it stays stored and moves
    BatchSlot batch;
    std::exception_ptr error;
  };

  Worker(const Dataset& dataset, Sampler order, std::span<const AugmentStep> steps, LoaderOptions what);
  ~Worker();

  void run();
  void add_field(Slot& slot, const BatchField& field, const FieldDecoder& decoder) const;
  void fill(Slot& slot, const BatchPosition& position);
  void start(const BatchPosition& position);
  void wait();

  const Sampler sampler;
  const LoaderOptions options;
  std::vector<FieldDecoder> decoders;
  std::array<Slot, 2> slots;
  std::size_t shown = 0;  // the slot that the caller has; the other one is prepared
  std::int64_t order_epoch = -1;
  std::vector<std::int64_t> order;  // of order_epoch

  std::optional<BatchPosition> started;  // what the other slot is prepared for; the caller's side alone
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<BatchPosition> wanted;  // guarded: set by the caller, cleared by the thread when it is done
  bool stopping = false;                // guarded
  std::thread thread;                   // last: it uses all of the above
};

Loader::Worker::Worker(const Dataset& dataset, Sampler order_of, std::span<const AugmentStep> steps, LoaderOptions what)
    : sampler(order_of), options(std::move(what)) {
  require(sampler.samples() == dataset.samples(), "loader: a sampler of {} for {} samples", sampler.samples(), dataset.samples());
  for (const BatchField& field : options.fields) {
    decoders.emplace_back(dataset.field(field.name), field.spec, steps, options.seed);
    for (Slot& slot : slots) add_field(slot, field, decoders.back());
  }
  thread = std::thread([this] { run(); });
}

void Loader::Worker::add_field(Slot& slot, const BatchField& field, const FieldDecoder& decoder) const {
  const bool stored = options.stored && decoder.can_stay_stored();
  const std::int64_t capacity = options.lanes.count() * options.lane_rows;
  const TensorSpec given{field.spec.shape.with_leading(capacity), field.spec.dtype};
  slot.memory.emplace_back(TensorSpec{given.shape, stored ? Dtype::u8 : given.dtype});
  slot.moves.emplace_back(stored && decoder.moves() ? static_cast<std::size_t>(capacity) : 0);
  const ConstTensorView view = std::as_const(slot.memory.back()).view();
  slot.batch.inputs.push_back(stored ? ConstTensorView(nullptr, given) : view);
  if (!options.stored) return;
  slot.batch.stored.emplace_back();
  if (!stored) return;
  const PixelMove* moves = decoder.moves() ? slot.moves.back().data() : nullptr;
  slot.batch.stored.back() = {.rows = view, .moves = moves, .scale = decoder.scale(), .offset = decoder.offset()};
}

Loader::Worker::~Worker() {
  {
    const std::lock_guard lock(mutex);
    stopping = true;
  }
  changed.notify_all();
  thread.join();
}

void Loader::Worker::run() {
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [&] { return stopping || wanted; });
    if (stopping) return;
    const BatchPosition position = *wanted;
    Slot& slot = slots[1 - shown];
    lock.unlock();
    slot.error = nullptr;
    try {
      fill(slot, position);
    } catch (...) {
      slot.error = std::current_exception();
    }
    lock.lock();
    wanted.reset();
    changed.notify_all();
  }
}

void Loader::Worker::fill(Slot& slot, const BatchPosition& position) {
  require(position.first >= 0 && position.samples >= 0 && position.samples <= sampler.samples() - position.first,
          "loader: positions [{}, {}) of {} samples", position.first, position.first + position.samples, sampler.samples());
  require(position.samples <= options.global_batch, "loader: a batch of {} samples: expected at most {}", position.samples,
          options.global_batch);
  if (order_epoch != position.epoch) {
    order = sampler.order(position.epoch);
    order_epoch = position.epoch;
  }
  const std::int64_t first_row = std::min(options.lanes.first * options.lane_rows, position.samples);
  const std::int64_t last_row = std::min(options.lanes.last * options.lane_rows, position.samples);
  slot.batch.position = position;
  slot.batch.first_row = first_row;
  slot.batch.rows = last_row - first_row;
  for (std::size_t f = 0; f < decoders.size(); ++f) {
    FieldDecoder& decoder = decoders[f];
    const bool stored = options.stored && slot.batch.stored[f].rows.data;
    const std::size_t bytes = stored ? decoder.stored_bytes() : options.fields[f].spec.bytes();
    std::byte* out = slot.memory[f].as<std::byte>();
    for (std::int64_t row = first_row; row < last_row; ++row, out += bytes) {
      const std::int64_t place = position.first + row, sample = order[static_cast<std::size_t>(place)];
      if (!stored)
        decoder.decode(sample, position.epoch, place, out);
      else
        std::memcpy(out, decoder.stored_row(sample), bytes);
      if (stored && decoder.moves()) slot.moves[f][static_cast<std::size_t>(row - first_row)] = decoder.move(position.epoch, place);
    }
  }
}

void Loader::Worker::start(const BatchPosition& position) {
  started = position;
  {
    const std::lock_guard lock(mutex);
    wanted = position;
  }
  changed.notify_all();
}

void Loader::Worker::wait() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return !wanted; });
}

Loader::Loader(const Dataset& dataset, Sampler sampler, std::span<const AugmentStep> steps, LoaderOptions options)
    : worker_(std::make_unique<Worker>(dataset, sampler, steps, std::move(options))) {}

Loader::~Loader() = default;

std::int64_t Loader::samples() const { return worker_->sampler.samples(); }

const std::vector<BatchField>& Loader::fields() const { return worker_->options.fields; }

const BatchSlot& Loader::batch(const BatchPosition& position, const std::optional<BatchPosition>& next) {
  Worker& worker = *worker_;
  worker.wait();
  if (worker.started != position) {
    worker.start(position);
    worker.wait();
  }
  worker.started.reset();
  worker.shown = 1 - worker.shown;
  Worker::Slot& slot = worker.slots[worker.shown];
  if (slot.error) std::rethrow_exception(std::exchange(slot.error, nullptr));
  if (next) worker.start(*next);
  return slot.batch;
}

}  // namespace lockstep
