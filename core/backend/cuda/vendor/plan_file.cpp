#include "core/backend/cuda/vendor/plan_file.h"

#include <fmt/format.h>

#include <array>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

namespace lockstep::cuda {

namespace {

using nlohmann::json;

constexpr int kFormat = 2;
constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string driver_text(int driver) { return fmt::format("{}.{}", driver / 1000, driver % 1000 / 10); }

std::array<std::int8_t, 256> digit_values() {
  std::array<std::int8_t, 256> values;
  values.fill(-1);
  for (std::size_t i = 0; i < kDigits.size(); ++i) values[static_cast<unsigned char>(kDigits[i])] = static_cast<std::int8_t>(i);
  return values;
}

/// The entry where it is a text, else an empty one.
std::string text_at(const json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

const json& object_at(const json& object, const char* key) {
  static const json none = json::object();
  const auto at = object.find(key);
  return at != object.end() && at->is_object() ? *at : none;
}

}  // namespace

std::string PlanDevice::text() const { return fmt::format("{}, cudnn {}{}", gpu, cudnn, driver ? ", driver " + driver_text(driver) : ""); }

std::string PlanDevice::file_name() const {
  std::string name = fmt::format("{}-cudnn-{}{}", gpu, cudnn, driver ? "-driver-" + driver_text(driver) : "");
  for (char& character : name)
    if (!std::isalnum(static_cast<unsigned char>(character)) && character != '.') character = '-';
  return name + ".json";
}

void PlanFile::merge(const PlanFile& later) {
  for (const auto& [problem, engine] : later.engines) engines[problem] = engine;
  for (const auto& [plan, bytes] : later.plans) plans[plan] = bytes;
}

std::string PlanFile::text() const {
  json all = {{"format", kFormat}, {"gpu", device.gpu}, {"cudnn", device.cudnn}, {"engines", json::object()}, {"plans", plans}};
  if (device.driver) all["driver"] = device.driver;
  for (const auto& [problem, engine] : engines) {
    json& entry = all["engines"][problem];
    entry["engine"] = engine.engine;
    if (engine.microseconds > 0) entry["microseconds"] = engine.microseconds;
  }
  return all.dump(1) + '\n';
}

std::optional<PlanFile> PlanFile::parse(const std::string& text) {
  const json all = json::parse(text, nullptr, false);
  if (!all.is_object() || all.value("format", json()) != kFormat) return {};
  PlanFile file;
  file.device = {.gpu = text_at(all, "gpu"), .cudnn = text_at(all, "cudnn")};
  if (const auto driver = all.find("driver"); driver != all.end() && driver->is_number_integer()) file.device.driver = driver->get<int>();
  for (const auto& [problem, entry] : object_at(all, "engines").items()) {
    if (!entry.is_object() || text_at(entry, "engine").empty()) continue;
    Engine& engine = file.engines[problem] = {.engine = text_at(entry, "engine")};
    if (entry.contains("microseconds") && entry["microseconds"].is_number()) engine.microseconds = entry["microseconds"].get<double>();
  }
  for (const auto& [plan, bytes] : object_at(all, "plans").items())
    if (bytes.is_string()) file.plans[plan] = bytes.get<std::string>();
  return file;
}

std::optional<PlanFile> PlanFile::read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return {};
  return parse({std::istreambuf_iterator<char>(file), {}});
}

std::string to_base64(const std::vector<std::uint8_t>& bytes) {
  std::string text;
  text.reserve(bytes.size() * 4 / 3 + 2);
  unsigned held = 0;
  int bits = 0;
  for (const std::uint8_t byte : bytes) {
    held = held << 8 | byte;
    for (bits += 8; bits >= 6;) text += kDigits[held >> (bits -= 6) & 63];
  }
  if (bits > 0) text += kDigits[held << (6 - bits) & 63];
  return text;
}

std::vector<std::uint8_t> from_base64(const std::string& text) {
  static const std::array<std::int8_t, 256> values = digit_values();
  std::vector<std::uint8_t> bytes;
  bytes.reserve(text.size() * 3 / 4);
  unsigned held = 0;
  int bits = 0;
  for (const char character : text) {
    const int digit = values[static_cast<unsigned char>(character)];
    if (digit < 0) return {};
    held = held << 6 | static_cast<unsigned>(digit);
    if ((bits += 6) >= 8) bytes.push_back(static_cast<std::uint8_t>(held >> (bits -= 8)));
  }
  return bytes;
}

}  // namespace lockstep::cuda
