#pragma once

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/device/device.h"

namespace lockstep::test {

/// A device in host memory whose work does not run when it is queued, so that a missing order shows as wrong numbers.
/// The main queue runs when it is waited for; the others either no sooner than somebody waits for them, or as soon as
/// they may. Recordings keep to the rules of CUDA's stream capture and throw where they are broken: no allocation, no
/// work on a queue that was not forked from the main one, no order after work from outside, no queue left unjoined at a
/// recording's end or at a call of the host.
class QueuedDevice : public Device {
 public:
  enum class SideQueues { late, early };
  explicit QueuedDevice(SideQueues side) : side_(side) {}

  bool is_host() const override { return false; }
  void* allocate(std::size_t bytes, std::string_view what) override;
  void release(void* memory) noexcept override;
  void* allocate_staging(std::size_t bytes) override { return allocate(bytes, "staging"); }
  void release_staging(void* memory) noexcept override { release(memory); }
  StreamView stream(int queue) override { return {&queues_[static_cast<std::size_t>(queue)]}; }
  void copy(void* to, const void* from, std::size_t bytes, StreamView stream) override;
  void zero(void* at, std::size_t bytes, StreamView stream) override;
  void order(StreamView before, StreamView after) override;
  void wait(StreamView stream) override;
  void call_host(std::function<void()> work) override;
  std::unique_ptr<Recording> record(const std::function<void()>& work) override;
  std::unique_ptr<Marker> make_marker() override;
  void watch(std::function<void()> check) override { check_ = std::move(check); }

  void enqueue(StreamView stream, std::function<void()> work);

 private:
  struct Work {
    std::function<void()> run;  ///< null: wait for `position` of `queue`
    int queue = 0;
    std::int64_t position = 0;
  };
  struct LateQueue {
    std::deque<Work> pending;
    std::int64_t done = 0;
    bool in_recording = false, joined = true;
    std::int64_t end() const { return done + static_cast<std::int64_t>(pending.size()); }
  };
  class Replay;
  struct Step {
    enum class Kind { work, order, host } kind;
    int queue = 0, after = 0;
    std::function<void()> run;
  };
  int number(StreamView stream) const { return static_cast<int>(static_cast<LateQueue*>(stream.native) - queues_.data()); }
  void run_until(int queue, std::int64_t position);
  void begin_segment();
  void require_joined(const char* where);

  SideQueues side_;
  std::array<LateQueue, Queue::kCount> queues_;
  std::function<void()> check_;
  std::vector<Step>* recording_ = nullptr;
};

/// The CPU's kernels, queued on such a device.
class QueuedBackend : public Backend {
 public:
  explicit QueuedBackend(QueuedDevice& device);
  std::string name() const override { return "queued"; }
  std::string describe() const override { return "queued " + cpu_->describe(); }
  std::vector<Precision> precisions() const override { return cpu_->precisions(); }
  Device& device() override { return device_; }
  WorkOrder order() const override { return WorkOrder::by_instruction; }
  std::unique_ptr<Kernel> make(const OpSpec& spec) const override;
  int workers() const override { return 1; }
  void parallel(int tasks, const std::function<void(int, int)>& body) override { cpu_->parallel(tasks, body); }

 private:
  QueuedDevice& device_;
  std::unique_ptr<Backend> cpu_;
};

}  // namespace lockstep::test
