#include "distributed/device_statistics_reducer.h"

#include "core/base/error.h"

namespace lockstep {

void DeviceStatisticsReducer::reduce(std::span<const StatisticPart> parts, LaneSpan lanes, int total_lanes, StreamView stream) {
  const int rank = ranks_.rank(), ranks = ranks_.size();
  require(lanes == lanes_of_rank(total_lanes, rank, ranks), "statistics: rank {} of {} has the lanes {} to {} of {}", rank, ranks,
          lanes.first, lanes.last, total_lanes);
  Bound& bound = this->bound(parts, total_lanes);
  run(parts, bound, bound.plan.before, bound.before, stream);
  if (!bound.plan.bytes.empty())
    ranks_.all_gather(bound.gathered.as<double>() + bound.plan.mine_at, bound.gathered.data(), bound.plan.bytes, stream);
  run(parts, bound, bound.plan.after, bound.after, stream);
}

DeviceStatisticsReducer::Bound& DeviceStatisticsReducer::bound(std::span<const StatisticPart> parts, int total_lanes) {
  std::vector<std::int64_t> signature{total_lanes};
  for (const StatisticPart& part : parts)
    signature.insert(signature.end(), {static_cast<std::int64_t>(part.kind), part.size, part.group_lanes});
  const auto found = bound_.find(signature);
  if (found != bound_.end()) return found->second;
  Bound made{.plan = make_statistics_plan(mode_, parts, ranks_.rank(), ranks_.size(), total_lanes)};
  made.before = kernels(parts, made.plan.before);
  made.after = kernels(parts, made.plan.after);
  const auto memory = [&](std::int64_t doubles) {
    return doubles > 0 ? DeviceBuffer(device_, static_cast<std::size_t>(doubles) * sizeof(double), "statistics of all ranks")
                       : DeviceBuffer();
  };
  made.gathered = memory(made.plan.gathered);
  made.sorted = memory(made.plan.sorted);
  return bound_.emplace(std::move(signature), std::move(made)).first->second;
}

std::vector<const Kernel*> DeviceStatisticsReducer::kernels(std::span<const StatisticPart> parts,
                                                            const std::vector<StatisticsPlan::Step>& steps) {
  std::vector<const Kernel*> result;
  for (const StatisticsPlan::Step& step : steps)
    result.push_back(step.nodes.size() == 1 ? nullptr
                                            : &fold_.kernel({.op = fold_op(parts[step.part].kind),
                                                             .nodes = step.nodes,
                                                             .lanes = step.lanes,
                                                             .stride = step.stride,
                                                             .elements = step.elements,
                                                             .sequential = mode_ == RunMode::fast}));
  return result;
}

void DeviceStatisticsReducer::run(std::span<const StatisticPart> parts, const Bound& bound, const std::vector<StatisticsPlan::Step>& steps,
                                  const std::vector<const Kernel*>& kernels, StreamView stream) {
  using Spot = StatisticsPlan::Place;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const StatisticsPlan::Step& step = steps[i];
    const double* from = step.from == Spot::local      ? parts[step.part].local
                         : step.from == Spot::gathered ? bound.gathered.as<double>()
                                                       : bound.sorted.as<double>();
    double* to = step.to == Spot::result     ? parts[step.part].result
                 : step.to == Spot::gathered ? bound.gathered.as<double>()
                                             : bound.sorted.as<double>();
    if (kernels[i])
      DeviceFold::run(*kernels[i], from + step.from_at, to + step.to_at, step.elements, stream);
    else
      device_.copy(to + step.to_at, from + step.from_at, static_cast<std::size_t>(step.elements) * sizeof(double), stream);
  }
}

}  // namespace lockstep
