#pragma once

#include <string>

#include "core/backend/backend.h"
#include "distributed/communicator.h"
#include "launch/bench/device_rates.h"

namespace lockstep {

/// A JSON object: `copies` [{bytes, bytes_per_second}], `to_device` and `from_device` (bytes a second; null where the host is the
/// device), `product_size`, `products` [{precision, operations_per_second, kernel}].
std::string rates_json(const DeviceRates& rates);

/// A table of all rates.
std::string rates_text(const DeviceRates& rates);

/// What `bench device` found, of all ranks, which measured at the same time. Collective.
struct DeviceReport {
  std::string text;  ///< rank 0's rates; with several ranks a line for each follows
  std::string json;  ///< launch/bench/README.md
};
DeviceReport make_device_report(const DeviceRates& rates, const Backend& backend, Communicator& ranks);

}  // namespace lockstep
