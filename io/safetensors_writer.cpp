#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "io/atomic_file.h"
#include "io/safetensors.h"
#include "io/safetensors_names.h"

namespace lockstep {
namespace {

std::vector<NamedTensor> in_order(std::span<const NamedTensor> tensors) {
  std::vector<NamedTensor> sorted(tensors.begin(), tensors.end());
  std::sort(sorted.begin(), sorted.end(), [](const NamedTensor& a, const NamedTensor& b) {
    const int rank_a = safetensors::dtype_rank(a.value.spec.dtype), rank_b = safetensors::dtype_rank(b.value.spec.dtype);
    return rank_a != rank_b ? rank_a > rank_b : a.name < b.name;
  });
  std::set<std::string_view> names;
  for (const NamedTensor& tensor : sorted)
    require(tensor.name != safetensors::kMetadata && names.insert(tensor.name).second, "safetensors: the name \"{}\" is taken", tensor.name);
  return sorted;
}

}  // namespace

void write_safetensors(const std::string& path, std::span<const NamedTensor> tensors, const std::map<std::string, std::string>& metadata) {
  const std::vector<NamedTensor> sorted = in_order(tensors);
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(safetensors::kMetadata)] = metadata;
  std::vector<std::span<const std::byte>> parts(2);
  std::size_t offset = 0;
  for (const NamedTensor& tensor : sorted) {
    const std::size_t bytes = tensor.value.spec.bytes();
    nlohmann::ordered_json& entry = header[tensor.name];
    entry["dtype"] = safetensors::dtype_name(tensor.value.spec.dtype);
    entry["shape"] = tensor.value.spec.shape.extents();
    entry["data_offsets"] = {offset, offset + bytes};
    parts.emplace_back(static_cast<const std::byte*>(tensor.value.data), bytes);
    offset += bytes;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  require(text.size() <= safetensors::kMaxHeaderBytes, "safetensors: a header of {} bytes: expected at most {}", text.size(),
          safetensors::kMaxHeaderBytes);
  const std::uint64_t length = text.size();
  parts[0] = std::as_bytes(std::span(&length, 1));
  parts[1] = std::as_bytes(std::span(text));
  commit_file(path, parts);
}

std::vector<NamedTensor> export_names(const Snapshot& weights) {
  std::vector<NamedTensor> tensors;
  for (const Snapshot::Member& member : weights.members())
    if (member.name.starts_with("parameters/") || member.name.starts_with("states/")) tensors.push_back({member.name.substr(member.name.find('/') + 1), member.value.view()});
  return tensors;
}

}  // namespace lockstep
