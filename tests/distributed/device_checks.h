#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/backend.h"
#include "distributed/communicator.h"
#include "distributed/device_allreduce_gradient_synchronizer.h"
#include "distributed/device_communicator.h"
#include "distributed/device_statistics_reducer.h"
#include "distributed/device_tree_gradient_synchronizer.h"
#include "tests/distributed/distributed_checks.h"

/// What must hold of reductions on any device over any device communicator: called by every rank.
namespace lockstep::testing {

struct DeviceRank {
  Backend& backend;
  DeviceCommunicator& ranks;
};

/// Runs `step` three times, with other input before each: as it is, recorded and replayed, and replayed once more.
/// Where the device cannot record, it runs as it is.
inline void run_and_replay(Device& device, const std::function<void(int)>& new_input, const std::function<void()>& step,
                           const std::function<void(int)>& look) {
  std::unique_ptr<Recording> recording;
  for (int again = 0; again < 3; ++again) {
    new_input(again);
    if (again == 1) recording = device.record(step);
    if (recording)
      recording->replay();
    else
      step();
    device.wait(device.stream(Queue::kMain));
    look(again);
  }
}

/// Host values that a step uploads first, and device results that it downloads last.
template <class T>
struct Traveller {
  Traveller(Device& device, std::size_t count)
      : host(device, count * sizeof(T) + 1), on_device(device, count * sizeof(T) + 1, "test"), bytes(count * sizeof(T)) {}
  void upload(Device& device) { device.copy(on_device.data(), host.data(), bytes, device.stream(Queue::kMain)); }
  void download(Device& device) { device.copy(host.data(), on_device.data(), bytes, device.stream(Queue::kMain)); }

  StagingBuffer host;
  DeviceBuffer on_device;
  std::size_t bytes;
};

inline const std::vector<StatisticsCase>& statistics_cases() {
  static const std::vector<StatisticsCase> cases{{ReduceKind::add, 3, 0},     {ReduceKind::moments, 9, 3}, {ReduceKind::moments, 5, 0},
                                                 {ReduceKind::add, 1, 1},     {ReduceKind::moments, 3, 4}, {ReduceKind::moments, 7, 1},
                                                 {ReduceKind::add, 2, 100000}};
  return cases;
}

/// In `exact` mode bits are compared with those of one rank on the host.
inline void check_device_statistics(DeviceRank& rank, int lanes, RunMode mode) {
  Device& device = rank.backend.device();
  const LaneSpan mine = lanes_of_rank(lanes, rank.ranks.rank(), rank.ranks.size());
  DeviceStatisticsReducer reducer(mode, rank.backend, rank.ranks);
  std::vector<Traveller<double>> locals, results;
  std::vector<std::vector<double>> expected(statistics_cases().size());
  std::vector<StatisticPart> parts;
  for (const StatisticsCase& item : statistics_cases()) {
    const auto groups = static_cast<std::int64_t>(item.group_lanes > 0 ? (lanes + item.group_lanes - 1) / item.group_lanes : 1);
    locals.emplace_back(device, static_cast<std::size_t>(mine.count() * item.size));
    results.emplace_back(device, static_cast<std::size_t>(groups * item.size));
    parts.push_back({item.kind, item.size, item.group_lanes, locals.back().on_device.as<double>(), results.back().on_device.as<double>()});
  }
  const auto new_input = [&](int again) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const StatisticsCase& item = statistics_cases()[i];
      std::vector<double> values = lane_statistics(item, lanes);
      for (std::size_t v = 0; v < values.size(); ++v)
        if (v % static_cast<std::size_t>(item.size) != 0) values[v] *= 1 + 0.1 * again;
      expected[i] = expected_statistics(item, values, lanes);
      std::memcpy(locals[i].host.data(), values.data() + mine.first * item.size, locals[i].bytes);
      std::memset(results[i].host.data(), 0xff, results[i].bytes);
    }
  };
  const auto step = [&] {
    for (Traveller<double>& local : locals) local.upload(device);
    reducer.reduce(parts, mine, lanes, device.stream(Queue::kMain));
    for (Traveller<double>& result : results) result.download(device);
  };
  run_and_replay(device, new_input, step, [&](int again) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const double* got = results[i].host.as<double>();
      ASSERT_EQ(results[i].bytes, expected[i].size() * sizeof(double));
      if (mode == RunMode::exact)
        EXPECT_EQ(0, std::memcmp(got, expected[i].data(), results[i].bytes))
            << lanes << " lanes, part " << i << ", run " << again << ", rank " << rank.ranks.rank() << " of " << rank.ranks.size();
      else
        for (std::size_t j = 0; j < expected[i].size(); ++j)
          EXPECT_NEAR(got[j], expected[i][j], 1e-9 * (1 + std::abs(expected[i][j]))) << i << " " << j;
    }
  });
}

/// Two buckets under way at once, of `elements` and of 300 floats. `in_place`: the first node lies in the result, as the
/// executor's does.
inline void check_device_gradients(DeviceRank& rank, int lanes, std::int64_t elements, RunMode mode, bool in_place) {
  Device& device = rank.backend.device();
  const LaneSpan mine = lanes_of_rank(lanes, rank.ranks.rank(), rank.ranks.size());
  std::unique_ptr<GradientSynchronizer> synchronizer;
  if (mode == RunMode::exact)
    synchronizer = std::make_unique<DeviceTreeGradientSynchronizer>(rank.backend, rank.ranks, lanes);
  else
    synchronizer = std::make_unique<DeviceAllReduceGradientSynchronizer>(rank.backend, rank.ranks);
  struct Bucket {
    Bucket(Device& on, std::int64_t count, std::size_t nodes_of_rank) : elements(count), result(on, static_cast<std::size_t>(count)) {
      for (std::size_t n = 0; n < nodes_of_rank; ++n) nodes.emplace_back(on, static_cast<std::size_t>(count));
    }
    std::int64_t elements;
    Traveller<float> result;
    std::vector<Traveller<float>> nodes;
    std::vector<float> values, expected;
  };
  const std::vector<LaneSpan> spans = cover(mine, lanes);
  std::vector<Bucket> buckets;
  for (const std::int64_t count : {elements, std::int64_t{300}}) buckets.emplace_back(device, count, spans.size());
  const auto new_input = [&](int again) {
    for (Bucket& bucket : buckets) {
      bucket.values = lane_gradients(lanes, bucket.elements);
      for (float& value : bucket.values) value *= static_cast<float>(1 + 0.1 * again);
      std::vector<float> memory(static_cast<std::size_t>((FoldStack::slots({0, lanes}, lanes) + 1) * bucket.elements));
      const float* whole = fold_gradients(bucket.values, {0, lanes}, lanes, bucket.elements, memory.data())[0].data;
      bucket.expected.assign(whole, whole + bucket.elements);
      const auto nodes = fold_gradients(bucket.values, mine, lanes, bucket.elements, memory.data());
      for (std::size_t n = 0; n < nodes.size(); ++n) std::memcpy(bucket.nodes[n].host.data(), nodes[n].data, bucket.nodes[n].bytes);
      std::memset(bucket.result.host.data(), 0xff, bucket.result.bytes);
    }
  };
  const auto step = [&] {
    const StreamView main = device.stream(Queue::kMain);
    for (std::size_t b = 0; b < buckets.size(); ++b) {
      Bucket& bucket = buckets[b];
      std::vector<NodeGradient> nodes;
      for (std::size_t n = 0; n < spans.size(); ++n) {
        float* data = in_place && n == 0 ? bucket.result.on_device.as<float>() : bucket.nodes[n].on_device.as<float>();
        device.copy(data, bucket.nodes[n].host.data(), bucket.nodes[n].bytes, main);
        nodes.push_back({spans[n], data});
      }
      synchronizer->reduce(static_cast<int>(b), bucket.elements, nodes, bucket.result.on_device.as<float>(), main);
    }
    synchronizer->finish(main);
    for (Bucket& bucket : buckets) bucket.result.download(device);
  };
  run_and_replay(device, new_input, step, [&](int again) {
    for (const Bucket& bucket : buckets) {
      const float* got = bucket.result.host.as<float>();
      if (mode == RunMode::exact) {
        EXPECT_EQ(0, std::memcmp(got, bucket.expected.data(), bucket.result.bytes))
            << lanes << " lanes, " << bucket.elements << " elements, run " << again << ", rank " << rank.ranks.rank() << " of "
            << rank.ranks.size();
        continue;
      }
      for (std::int64_t i = 0; i < bucket.elements; ++i) {
        float magnitude = 1e-6f;
        for (int lane = 0; lane < lanes; ++lane) magnitude += std::abs(bucket.values[static_cast<std::size_t>(lane * bucket.elements + i)]);
        EXPECT_NEAR(got[i], bucket.expected[static_cast<std::size_t>(i)], 1e-5f * magnitude) << i;
      }
    }
  });
}

}  // namespace lockstep::testing
