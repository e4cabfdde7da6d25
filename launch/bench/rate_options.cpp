#include "launch/bench/rate_options.h"

#include "core/base/error.h"
#include "io/data_options.h"

namespace lockstep {

std::vector<OptionSpec> rate_options(const std::string& seconds) {
  return {{.name = seconds, .value_name = "S", .help = "of each measurement of the device, and as much before it to warm up"},
          {.name = "copy-size", .value_name = "SIZE", .help = "of the largest copy, such as \"256 MiB\""},
          {.name = "product-size", .value_name = "N", .help = "of the square matrices that are multiplied"}};
}

RateRequest read_rate_options(const Arguments& arguments, const std::string& seconds) {
  constexpr double kMostSeconds = 3600;
  constexpr std::int64_t kLeastCopy = 4096, kLeastProduct = 16, kMostProduct = 65536;
  RateRequest request;
  if (arguments.has(seconds)) request.seconds = arguments.real(seconds, 0, 0, kMostSeconds);
  if (arguments.has("product-size")) request.product_size = arguments.integer("product-size", 0, kLeastProduct, kMostProduct);
  const auto copy = arguments.value("copy-size");
  if (!copy) return request;
  const std::int64_t bytes = parse_bytes(*copy, arguments.command() + ": --copy-size: ");
  if (bytes < kLeastCopy) fail(ErrorKind::usage, "{}: --copy-size: expected at least 4 KiB, got \"{}\"", arguments.command(), *copy);
  request.largest_copy = static_cast<std::size_t>(bytes);
  return request;
}

}  // namespace lockstep
