#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/backend/cpu/thread_pool.h"

namespace lockstep::cpu {

/// The CPU of one rank: a pool of threads that take tasks (lanes, tiles), each with oneDNN single-threaded on it, so
/// that bits depend on no thread count.
class CpuBackend : public Backend {
 public:
  explicit CpuBackend(int threads);

  std::string name() const override { return "cpu"; }
  /// `cpu avx512, oneDNN 2.6.3 avx512_core_amx, caches 48/2048 KiB`: all that the bits depend on (oneDNN cuts its
  /// loops, and so its sums, by the sizes of the caches).
  std::string describe() const override;
  /// f32 and bf16; bf16 first where it multiplies faster: with AMX, and with AVX512-BF16 on AMD's processors (twice the rate of f32; on
  /// Intel's without AMX it is half).
  std::vector<Precision> precisions() const override;
  Device& device() override { return host_device(); }
  WorkOrder order() const override { return WorkOrder::by_lane; }
  /// `run_file` error for f16 operands too.
  std::unique_ptr<Kernel> make(const OpSpec& spec) const override;
  int workers() const override { return pool_.threads(); }
  void parallel(int tasks, const std::function<void(int task, int worker)>& body) override { pool_.run(tasks, body); }

 private:
  ThreadPool pool_;
};

}  // namespace lockstep::cpu
