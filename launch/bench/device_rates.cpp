#include "launch/bench/device_rates.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "core/base/philox.h"
#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"
#include "launch/bench/median.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr double kBlockSeconds = 0.02;  ///< a block of calls is as long as that, so that waiting for it does not count
constexpr std::size_t kFewestBlocks = 3;

/// Median seconds of a call that queues its work on the main queue. Warmed up by time: a device that idled has low clocks.
double seconds_of(Backend& backend, double budget, const std::function<void()>& call) {
  Device& device = backend.device();
  const auto block = [&](std::int64_t calls) {
    const auto start = Clock::now();
    for (std::int64_t i = 0; i < calls; ++i) call();
    device.wait(device.stream(Queue::kMain));
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::int64_t calls = 1;
  for (double warm = 0; warm < budget;) {
    const double seconds = block(calls);
    warm += seconds;
    calls = std::clamp<std::int64_t>(static_cast<std::int64_t>(kBlockSeconds * static_cast<double>(calls) / std::max(seconds, 1e-9)), 1, 2 * calls);
  }
  std::vector<double> means;
  for (double spent = 0; spent < budget || means.size() < kFewestBlocks;) {
    const double seconds = block(calls);
    spent += seconds;
    means.push_back(seconds / static_cast<double>(calls));
  }
  return median(means);
}

/// A copy of all bytes: by the device itself, or by all workers of the host, which has no queues.
void copy_all(Backend& backend, std::byte* to, const std::byte* from, std::size_t bytes) {
  Device& device = backend.device();
  const StreamView main = device.stream(Queue::kMain);
  if (!device.is_host()) return device.copy(to, from, bytes, main);
  const auto workers = static_cast<std::size_t>(backend.workers());
  backend.parallel(backend.workers(), [&](int task, int) {
    const std::size_t first = bytes * static_cast<std::size_t>(task) / workers, last = bytes * static_cast<std::size_t>(task + 1) / workers;
    device.copy(to + first, from + first, last - first, main);
  });
}

/// Uniform in [-1, 1): constants take less power, and so less time.
DeviceBuffer random_numbers(Device& device, std::int64_t count, Dtype dtype) {
  constexpr std::int64_t kPeriod = 1'000'003;  // a prime, so that rows differ
  const std::int64_t period = std::min(kPeriod, count);
  std::vector<std::byte> pattern(static_cast<std::size_t>(period) * size_of(dtype));
  for (std::int64_t i = 0; i < period; ++i) {
    const float value = 2.0f * Philox::uniform(Philox::draw(static_cast<std::uint64_t>(i), 0, 11).w[0]) - 1.0f;
    std::byte* const at = pattern.data() + static_cast<std::size_t>(i) * size_of(dtype);
    if (dtype == Dtype::f32)
      *reinterpret_cast<float*>(at) = value;
    else if (dtype == Dtype::bf16)
      *reinterpret_cast<BFloat16*>(at) = to_bfloat16(value);
    else
      *reinterpret_cast<Float16*>(at) = to_float16(value);
  }
  DeviceBuffer buffer(device, static_cast<std::size_t>(count) * size_of(dtype), "numbers to measure with");
  const StreamView main = device.stream(Queue::kMain);
  for (std::size_t at = 0; at < buffer.bytes(); at += pattern.size())
    device.copy(buffer.data() + at, pattern.data(), std::min(pattern.size(), buffer.bytes() - at), main);
  device.wait(main);
  return buffer;
}

void measure_copies(Backend& backend, const RateSettings& settings, DeviceRates& rates) {
  Device& device = backend.device();
  const DeviceBuffer from = random_numbers(device, static_cast<std::int64_t>(settings.largest_copy / sizeof(float) + 1), Dtype::f32);
  const DeviceBuffer to(device, from.bytes(), "copies to measure");
  std::size_t bytes = settings.largest_copy;
  for (int i = 0; i < settings.copy_sizes && bytes > 0; ++i, bytes /= 4) {
    const double seconds = seconds_of(backend, settings.seconds, [&] { copy_all(backend, to.data(), from.data(), bytes); });
    rates.copies.push_back({bytes, 2.0 * static_cast<double>(bytes) / seconds});
  }
  if (device.is_host()) return;
  const std::size_t staged = std::min<std::size_t>(settings.largest_copy, 64 * kMiB);
  const StagingBuffer staging(device, staged);
  const StreamView main = device.stream(Queue::kMain);
  rates.from_device = static_cast<double>(staged) / seconds_of(backend, settings.seconds, [&] { device.copy(staging.data(), from.data(), staged, main); });
  rates.to_device = static_cast<double>(staged) / seconds_of(backend, settings.seconds, [&] { device.copy(to.data(), staging.data(), staged, main); });
}

/// y[m, n] = x[m, n] w[n, n]: m is n on a device, and n for each worker of the host.
DeviceRates::Product measure_product(Backend& backend, const RateSettings& settings, Precision precision) {
  Device& device = backend.device();
  const StreamView main = device.stream(Queue::kMain);
  const std::int64_t n = settings.product_size;
  const Dtype dtype = activation_dtype(precision);
  const bool by_worker = backend.order() == WorkOrder::by_lane;
  const int calls = by_worker ? backend.workers() : 1;
  constexpr int kLanes = 16;
  OpSpec spec{.op = "dense.forward",
              .layer = "product",
              .kind = PhaseKind::rows,
              .reads = {{Role::input, {Shape{n}, dtype}}, {Role::parameter, {Shape{n, n}, Dtype::f32}}},
              .writes = {{Role::output, {Shape{n}, dtype}}},
              .lane_rows = by_worker ? n : std::max<std::int64_t>(1, n / kLanes),
              .max_rows = n};
  if (precision == Precision::tf32) spec.attributes.set("tf32", 1);
  const auto kernel = backend.make(spec);
  const DeviceBuffer x = random_numbers(device, n * n * calls, dtype), y = random_numbers(device, n * n * calls, dtype);
  DeviceBuffer weights = random_numbers(device, n * n, Dtype::f32);
  if (const std::size_t bytes = kernel->packed_bytes(1)) {
    DeviceBuffer packed(device, bytes, "products to measure");
    kernel->pack(1, weights.as<const float>(), packed.data(), main);
    device.wait(main);
    weights = std::move(packed);
  }
  const std::size_t workspace_bytes = (kernel->workspace_bytes() + 255) / 256 * 256;
  const DeviceBuffer workspace(device, workspace_bytes * static_cast<std::size_t>(calls), "products to measure");
  const auto product = [&](int part) {
    const std::size_t offset = static_cast<std::size_t>(part * n * n) * size_of(dtype);
    const void* reads[] = {x.data() + offset, weights.data()};
    void* writes[] = {y.data() + offset};
    kernel->run({.reads = reads, .writes = writes, .rows = n, .workspace = workspace.data() + workspace_bytes * static_cast<std::size_t>(part), .stream = main});
  };
  const double seconds = seconds_of(backend, settings.seconds, [&] {
    if (calls == 1) return product(0);
    backend.parallel(calls, [&](int task, int) { product(task); });
  });
  const double size = static_cast<double>(n);
  return {precision, 2.0 * size * size * size * calls / seconds, kernel->implementation()};
}

}  // namespace

double DeviceRates::product(Precision precision) const {
  for (const Product& product : products)
    if (product.precision == precision) return product.operations_per_second;
  return 0;
}

RateSettings choose_rate_settings(Backend& backend, int ranks_on_host, const RateRequest& request) {
  RateSettings settings{.seconds = 0.5, .largest_copy = 1024 * kMiB, .product_size = 8192};
  if (backend.device().is_host()) {
    const auto memory = static_cast<std::size_t>(std::max(0L, sysconf(_SC_PHYS_PAGES))) * static_cast<std::size_t>(std::max(0L, sysconf(_SC_PAGESIZE)));
    const std::size_t share = memory / 16 / static_cast<std::size_t>(std::max(1, ranks_on_host));
    settings = {.seconds = 0.3, .largest_copy = std::clamp(share / kMiB * kMiB, 16 * kMiB, 256 * kMiB), .product_size = 1024};
  }
  settings.seconds = request.seconds.value_or(settings.seconds);
  settings.largest_copy = request.largest_copy.value_or(settings.largest_copy);
  settings.product_size = request.product_size.value_or(settings.product_size);
  return settings;
}

DeviceRates measure_device(Backend& backend, const RateSettings& settings, std::span<const Precision> precisions) {
  DeviceRates rates{.product_size = settings.product_size};
  measure_copies(backend, settings, rates);
  for (const Precision precision : precisions) rates.products.push_back(measure_product(backend, settings, precision));
  return rates;
}

}  // namespace lockstep
