#pragma once

#include <map>
#include <vector>

#include "core/backend/backend.h"
#include "core/train/program.h"
#include "core/train/reduction.h"
#include "distributed/device_communicator.h"
#include "distributed/device_fold.h"
#include "distributed/statistics_plan.h"

namespace lockstep {

/// Statistics that lie on a device: fold my lanes, all_gather, fold all, queued on the caller's stream. In `exact` mode
/// the bits are TreeStatisticsReducer's, on any number of ranks. Memory is taken at the first call with parts of this
/// kind, which must not be recorded, and kept. All calls share one stream. Backend and ranks must outlive it.
class DeviceStatisticsReducer : public StatisticsReducer {
 public:
  DeviceStatisticsReducer(RunMode mode, Backend& backend, DeviceCommunicator& ranks)
      : mode_(mode), device_(backend.device()), ranks_(ranks), fold_(backend) {}
  void reduce(std::span<const StatisticPart> parts, LaneSpan lanes, int total_lanes, StreamView stream) override;

 private:
  struct Bound {
    StatisticsPlan plan;
    std::vector<const Kernel*> before, after;  ///< of the plan's steps; null for a copy
    DeviceBuffer gathered, sorted;
  };
  Bound& bound(std::span<const StatisticPart> parts, int total_lanes);
  std::vector<const Kernel*> kernels(std::span<const StatisticPart> parts, const std::vector<StatisticsPlan::Step>& steps);
  void run(std::span<const StatisticPart> parts, const Bound& bound, const std::vector<StatisticsPlan::Step>& steps,
           const std::vector<const Kernel*>& kernels, StreamView stream);

  RunMode mode_;
  Device& device_;
  DeviceCommunicator& ranks_;
  DeviceFold fold_;
  std::map<std::vector<std::int64_t>, Bound> bound_;
};

}  // namespace lockstep
