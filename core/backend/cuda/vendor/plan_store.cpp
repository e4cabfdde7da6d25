#include "core/backend/cuda/vendor/plan_store.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace lockstep::cuda {

namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(const std::vector<std::uint8_t>& bytes) {
  std::string text;
  unsigned held = 0;
  int bits = 0;
  for (const std::uint8_t byte : bytes) {
    held = held << 8 | byte;
    for (bits += 8; bits >= 6;) text += kDigits[held >> (bits -= 6) & 63];
  }
  if (bits > 0) text += kDigits[held << (6 - bits) & 63];
  return text;
}

/// Nothing where a character is not of the code.
std::vector<std::uint8_t> from_base64(const std::string& text) {
  std::vector<std::uint8_t> bytes;
  unsigned held = 0;
  int bits = 0;
  for (const char character : text) {
    const auto digit = std::string_view(kDigits, 64).find(character);
    if (digit == std::string_view::npos) return {};
    held = held << 6 | static_cast<unsigned>(digit);
    if ((bits += 6) >= 8) bytes.push_back(static_cast<std::uint8_t>(held >> (bits -= 8)));
  }
  return bytes;
}

/// The whole file; an empty one where there is none or it is damaged.
json read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  json all = file ? json::parse(file, nullptr, false) : json();
  const bool ours = all.is_object() && all.value("format", json()) == kFormat && all.contains("choices") && all["choices"].is_object();
  return ours ? all : json{{"format", kFormat}, {"choices", json::object()}};
}

}  // namespace

PlanStore::PlanStore(std::string path, std::string device) : path_(std::move(path)), device_(std::move(device)) {
  if (path_.empty()) return;
  const json all = read(path_);
  const auto device_entry = all["choices"].find(device_);
  if (device_entry == all["choices"].end() || !device_entry->is_object()) return;
  for (const auto& [problem, entry] : device_entry->items()) {
    if (!entry.is_object() || !entry.contains("engine") || !entry["engine"].is_string()) continue;
    Choice choice{.engine = entry["engine"].get<std::string>()};
    if (entry.contains("microseconds") && entry["microseconds"].is_number()) choice.microseconds = entry["microseconds"].get<double>();
    if (entry.contains("plans") && entry["plans"].is_object())
      for (const auto& [rows, text] : entry["plans"].items())
        if (text.is_string()) choice.plans[std::strtoll(rows.c_str(), nullptr, 10)] = from_base64(text.get<std::string>());
    choices_[problem] = std::move(choice);
  }
}

std::optional<PlanStore::Choice> PlanStore::find(const std::string& problem) const {
  const std::lock_guard lock(mutex_);
  const auto found = choices_.find(problem);
  return found == choices_.end() ? std::nullopt : std::optional(found->second);
}

void PlanStore::put(const std::string& problem, Choice choice) {
  const std::lock_guard lock(mutex_);
  if (!path_.empty()) {
    json plans = json::object();
    for (const auto& [rows, bytes] : choice.plans) plans[std::to_string(rows)] = to_base64(bytes);
    json all = read(path_);
    json& device = all["choices"][device_];
    if (!device.is_object()) device = json::object();
    device[problem] = {{"engine", choice.engine}, {"microseconds", choice.microseconds}, {"plans", plans}};
    const std::string fresh = fmt::format("{}.{}", path_, getpid());
    std::ofstream file(fresh, std::ios::binary);
    file << all.dump(1) << '\n';
    file.close();
    std::error_code error;
    if (file) std::filesystem::rename(fresh, path_, error);
    if (!file || error) {
      std::error_code ignored;
      std::filesystem::remove(fresh, ignored);
      fail(ErrorKind::io, "cuda: plans: cannot write \"{}\": {}", path_, error ? error.message() : "write failed");
    }
  }
  choices_[problem] = std::move(choice);
}

}  // namespace lockstep::cuda
