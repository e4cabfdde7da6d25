#include "launch/bench/device_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/base/table.h"
#include "core/base/text.h"
#include "launch/logging.h"
#include "launch/version.h"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

std::string giga(double rate) { return fmt::format("{:.1f}", 1e-9 * rate); }
std::string tera(double rate) { return fmt::format("{:.3f}", 1e-12 * rate); }

Json to_json(const DeviceRates& rates) {
  const auto or_null = [](const std::optional<double>& rate) { return rate ? Json(*rate) : Json(); };
  Json json = {{"copies", Json::array()}, {"to_device", or_null(rates.to_device)}, {"from_device", or_null(rates.from_device)},
               {"product_size", rates.product_size}, {"products", Json::array()}};
  for (const auto& copy : rates.copies) json["copies"].push_back({{"bytes", copy.bytes}, {"bytes_per_second", copy.bytes_per_second}});
  for (const auto& product : rates.products)
    json["products"].push_back({{"precision", name_of(product.precision)}, {"operations_per_second", product.operations_per_second}, {"kernel", product.kernel}});
  return json;
}

std::string table_of_ranks(const std::vector<std::string>& devices) {
  std::vector<std::string> head = {"rank", "host", "copy GB/s"};
  for (const auto& product : Json::parse(devices.front())["products"]) head.push_back(product["precision"].get<std::string>() + " TFLOP/s");
  TextTable table(head);
  for (const std::string& device : devices) {
    const Json json = Json::parse(device);
    std::vector<std::string> row = {std::to_string(json["rank"].get<int>()), json["host"].get<std::string>(), giga(json["copies"][0]["bytes_per_second"])};
    for (const auto& product : json["products"]) row.push_back(tera(product["operations_per_second"]));
    table.add(row);
  }
  return table.text();
}

}  // namespace

std::string rates_json(const DeviceRates& rates) { return to_json(rates).dump(); }

std::string rates_text(const DeviceRates& rates) {
  TextTable table({"measured", "size", "GB/s", "TFLOP/s", "kernel"});
  for (const auto& copy : rates.copies) table.add({"copy, read + written", format_bytes(copy.bytes), giga(copy.bytes_per_second), "", ""});
  if (rates.to_device) table.add({"staging to device", "", giga(*rates.to_device), "", ""});
  if (rates.from_device) table.add({"device to staging", "", giga(*rates.from_device), "", ""});
  for (const auto& product : rates.products)
    table.add({fmt::format("product {}", name_of(product.precision)), fmt::format("{0} x {0}", rates.product_size), "", tera(product.operations_per_second),
               product.kernel});
  return table.text();
}

DeviceReport make_device_report(const DeviceRates& rates, const Backend& backend, Communicator& ranks) {
  Json mine = {{"rank", ranks.rank()}, {"host", host_name()}, {"device", backend.describe()}, {"workers", backend.workers()}};
  mine.update(to_json(rates));
  const std::vector<std::string> all = all_gather_text(ranks, mine.dump());
  DeviceReport report{.text = backend.describe() + "\n" + rates_text(rates)};
  if (ranks.size() > 1) report.text += "\n" + table_of_ranks(all);
  Json json = {{"schema", 1}, {"kind", "bench device"}, {"program", version_line()}, {"ranks", ranks.size()}, {"devices", Json::array()}};
  for (const std::string& device : all) json["devices"].push_back(Json::parse(device));
  report.json = json.dump(2) + "\n";
  return report;
}

}  // namespace lockstep
