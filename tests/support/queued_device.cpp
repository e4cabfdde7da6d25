#include "tests/support/queued_device.h"

#include <cstdlib>
#include <cstring>

#include "core/base/error.h"

namespace lockstep::test {

void* QueuedDevice::allocate(std::size_t bytes, std::string_view what) {
  require(!recording_, "{}: allocated while recording", what);
  const std::size_t rounded = (bytes + 255) / 256 * 256;
  void* memory = std::aligned_alloc(256, std::max<std::size_t>(rounded, 256));
  std::memset(memory, 0, rounded);
  return memory;
}

void QueuedDevice::release(void* memory) noexcept { std::free(memory); }

void QueuedDevice::copy(void* to, const void* from, std::size_t bytes, StreamView stream) {
  enqueue(stream, [=] {
    if (bytes > 0) std::memmove(to, from, bytes);
  });
}

void QueuedDevice::zero(void* at, std::size_t bytes, StreamView stream) {
  enqueue(stream, [=] { std::memset(at, 0, bytes); });
}

void QueuedDevice::enqueue(StreamView stream, std::function<void()> work) {
  const int queue = number(stream);
  LateQueue& late = queues_[static_cast<std::size_t>(queue)];
  if (recording_) {
    require(late.in_recording, "recording: queue {} was not ordered after the main one", queue);
    late.joined = queue == Queue::kMain;
    recording_->push_back({Step::Kind::work, queue, 0, std::move(work)});
    return;
  }
  late.pending.push_back({std::move(work)});
  if (queue != Queue::kMain && side_ == SideQueues::early) run_until(queue, late.end());
}

void QueuedDevice::order(StreamView before, StreamView after) {
  const int first = number(before), second = number(after);
  LateQueue &earlier = queues_[static_cast<std::size_t>(first)], &later = queues_[static_cast<std::size_t>(second)];
  if (recording_) {
    require(earlier.in_recording, "recording: ordered after queue {}, which is not part of it", first);
    later.in_recording = true;
    later.joined = second == Queue::kMain;
    if (second == Queue::kMain) earlier.joined = true;
    recording_->push_back({Step::Kind::order, first, second, {}});
    return;
  }
  later.pending.push_back({{}, first, earlier.end()});
}

void QueuedDevice::run_until(int queue, std::int64_t position) {
  LateQueue& late = queues_[static_cast<std::size_t>(queue)];
  while (late.done < position) {
    const Work work = std::move(late.pending.front());
    late.pending.pop_front();
    ++late.done;
    if (work.run)
      work.run();
    else
      run_until(work.queue, work.position);
  }
}

void QueuedDevice::wait(StreamView stream) {
  require(!recording_, "recording: waited");
  if (check_) check_();
  run_until(number(stream), static_cast<LateQueue*>(stream.native)->end());
}

void QueuedDevice::require_joined(const char* where) {
  for (std::size_t q = 0; q < queues_.size(); ++q)
    require(!queues_[q].in_recording || queues_[q].joined, "recording: queue {} is not joined to the main one at {}", q, where);
}

void QueuedDevice::begin_segment() {
  for (LateQueue& late : queues_) late.in_recording = false, late.joined = true;
  queues_[Queue::kMain].in_recording = true;
}

void QueuedDevice::call_host(std::function<void()> work) {
  if (!recording_) {
    wait(stream(Queue::kMain));
    return work();
  }
  require_joined("a call of the host");
  begin_segment();
  recording_->push_back({Step::Kind::host, 0, 0, std::move(work)});
}

std::unique_ptr<Marker> QueuedDevice::make_marker() {
  struct LateMarker final : Marker {
    explicit LateMarker(QueuedDevice& where) : device(where), marker(host_device().make_marker()) {}
    void set(StreamView stream) override {
      device.enqueue(stream, [this] { marker->set({}); });
    }
    double seconds_since(const Marker& earlier) const override { return marker->seconds_since(*static_cast<const LateMarker&>(earlier).marker); }
    QueuedDevice& device;
    std::unique_ptr<Marker> marker;
  };
  return std::make_unique<LateMarker>(*this);
}

class QueuedDevice::Replay : public Recording {
 public:
  Replay(QueuedDevice& device, std::vector<Step> steps) : device_(device), steps_(std::move(steps)) {}
  void replay() override {
    for (const Step& step : steps_) {
      if (step.kind == Step::Kind::work)
        device_.enqueue(device_.stream(step.queue), step.run);
      else if (step.kind == Step::Kind::order)
        device_.order(device_.stream(step.queue), device_.stream(step.after));
      else
        device_.call_host(step.run);
    }
  }

 private:
  QueuedDevice& device_;
  std::vector<Step> steps_;
};

std::unique_ptr<Recording> QueuedDevice::record(const std::function<void()>& work) {
  std::vector<Step> steps;
  recording_ = &steps;
  begin_segment();
  try {
    work();
    require_joined("the end");
  } catch (...) {
    recording_ = nullptr;
    throw;
  }
  recording_ = nullptr;
  return std::make_unique<Replay>(*this, std::move(steps));
}

namespace {

class QueuedKernel : public Kernel {
 public:
  QueuedKernel(QueuedDevice& device, std::unique_ptr<Kernel> kernel) : device_(device), kernel_(std::move(kernel)) {}
  void run(const KernelCall& call) const override {
    device_.enqueue(call.stream, [kernel = kernel_.get(), call, reads = std::vector(call.reads.begin(), call.reads.end()),
                                  writes = std::vector(call.writes.begin(), call.writes.end()),
                                  strides = std::vector(call.lane_strides.begin(), call.lane_strides.end())] {
      KernelCall late = call;
      late.reads = reads;
      late.writes = writes;
      late.lane_strides = strides;
      kernel->run(late);
    });
  }
  std::size_t workspace_bytes() const override { return kernel_->workspace_bytes(); }
  bool takes_lanes() const override { return kernel_->takes_lanes(); }
  std::string implementation() const override { return kernel_->implementation(); }

 private:
  QueuedDevice& device_;
  std::unique_ptr<Kernel> kernel_;
};

Value one_thread() {
  Value options{Value::Data(Value::Table{})};
  options.set("cpu", Value::boolean(true));
  options.set("threads", Value::integer(1));
  return options;
}

}  // namespace

QueuedBackend::QueuedBackend(QueuedDevice& device) : device_(device), cpu_(make_plug_in<Backend>(one_thread())) {}

std::unique_ptr<Kernel> QueuedBackend::make(const OpSpec& spec) const { return std::make_unique<QueuedKernel>(device_, cpu_->make(spec)); }

}  // namespace lockstep::test
