#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/backend/backend.h"

namespace lockstep {

/// What a device was measured to do, as medians over blocks of calls: the two roofs that a step stands under, and the way to it.
struct DeviceRates {
  struct Copy {
    std::size_t bytes = 0;        ///< of one buffer
    double bytes_per_second = 0;  ///< read and written, so twice the buffer a copy
  };
  struct Product {
    Precision precision = Precision::f32;
    double operations_per_second = 0;  ///< 2 n^3 a product
    std::string kernel;                ///< Kernel::implementation()
  };
  std::vector<Copy> copies;                      ///< within the device, the largest first
  std::optional<double> to_device, from_device;  ///< bytes a second from staging memory and back; nothing where the host is the device
  std::int64_t product_size = 0;                 ///< n of [n, n] times [n, n]
  std::vector<Product> products;                 ///< "dense.forward" on random numbers

  /// Of the largest copy.
  double copy() const { return copies.empty() ? 0 : copies.front().bytes_per_second; }
  /// 0 where it was not measured.
  double product(Precision precision) const;
};

struct RateSettings {
  double seconds = 0.3;          ///< of each measurement, and as much before it to warm up
  std::size_t largest_copy = 0;  ///< bytes of a buffer; smaller ones are each a fourth of the one before
  int copy_sizes = 4;
  std::int64_t product_size = 0;
};

/// What a user may set of it.
struct RateRequest {
  std::optional<double> seconds;
  std::optional<std::size_t> largest_copy;
  std::optional<std::int64_t> product_size;
};

/// By default half a second, 1 GiB and 8192 on a device of its own; on the host 0.3 seconds, a size that all ranks there have memory for, and
/// 1024 for each thread.
RateSettings choose_rate_settings(Backend& backend, int ranks_on_host, const RateRequest& request);

/// Measures by the backend's device and its "dense.forward" kernel. On the host all workers copy and multiply at once, so that the
/// rates are the rank's. Takes and gives back the memory that it needs; errors of the device where there is too little.
DeviceRates measure_device(Backend& backend, const RateSettings& settings, std::span<const Precision> precisions);

}  // namespace lockstep
