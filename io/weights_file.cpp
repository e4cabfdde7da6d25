#include "io/weights_file.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/model/snapshot.h"
#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"
#include "io/safetensors.h"

namespace lockstep {
namespace {

/// "parameters/fc.weight" is "fc.weight".
std::string name_in_file(const std::string& member) { return member.substr(member.find('/') + 1); }

bool is_part_of(const std::string& name, const std::string& path) { return name == path || name.starts_with(path + "."); }

bool is_excepted(const std::string& name, std::span<const std::string> except) {
  return std::ranges::any_of(except, [&](const std::string& path) { return is_part_of(name, path); });
}

/// Every "except" must mean something.
void check_except(std::span<const std::string> except, const Snapshot& model) {
  for (const std::string& path : except) {
    std::vector<std::string> layers;
    bool found = false;
    for (const Snapshot::Member& member : model.members()) {
      const std::string name = name_in_file(member.name), layer = name.substr(0, name.rfind('.'));
      found = found || is_part_of(name, path);
      if (layers.empty() || layers.back() != layer) layers.push_back(layer);
    }
    if (!found) fail(ErrorKind::run_file, "[train] weights: \"except\": the model has no weights of \"{}\"{}", path, hint(path, layers));
  }
}

template <class T>
void convert(const Tensor& from, float* to) {
  const T* values = from.as<T>();
  for (std::int64_t i = 0; i < from.spec().elements(); ++i) {
    if constexpr (std::is_same_v<T, double>)
      to[i] = static_cast<float>(values[i]);
    else
      to[i] = to_float(values[i]);
  }
}

bool is_float(Dtype dtype) { return is_activation(dtype) || dtype == Dtype::f64; }

/// In f32, which all weights are.
Tensor as_f32(const Tensor& value) {
  Tensor result({value.spec().shape, Dtype::f32});
  switch (value.spec().dtype) {
    case Dtype::f16: convert<Float16>(value, result.as<float>()); break;
    case Dtype::bf16: convert<BFloat16>(value, result.as<float>()); break;
    case Dtype::f64: convert<double>(value, result.as<float>()); break;
    default: convert<float>(value, result.as<float>()); break;
  }
  return result;
}

Tensor copy_of(const Tensor& value) {
  Tensor result(value.spec());
  if (value.spec().bytes() > 0) std::memcpy(result.view().data, value.view().data, value.spec().bytes());
  return result;
}

void add_problem(std::string& text, const std::string& what, const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 5;
  if (names.empty()) return;
  text += (text.empty() ? "" : "; ") + what + " " + join(std::span(names).first(std::min(names.size(), kShown)));
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
}

}  // namespace

std::vector<std::string> read_weights(const std::string& path, std::span<const std::string> except, const VisitState& visit) {
  const Snapshot model(visit);
  check_except(except, model);
  const SafeTensors file = read_safetensors(path);
  std::map<std::string, const Tensor*> given;
  for (const SafeTensors::Entry& entry : file.tensors)
    if (!is_excepted(entry.name, except) && !entry.name.ends_with(".num_batches_tracked")) given[entry.name] = &entry.value;

  Snapshot loaded;
  std::vector<std::string> kept, missing, unexpected, different;
  for (const Snapshot::Member& member : model.members()) {
    const std::string name = name_in_file(member.name);
    if (is_excepted(name, except)) {
      kept.push_back(name);
      loaded.add({member.name, member.kind, copy_of(member.value)});
      continue;
    }
    const auto found = given.find(name);
    if (found == given.end()) {
      missing.push_back(fmt::format("\"{}\" {}", name, member.value.spec().shape.text()));
      continue;
    }
    const Tensor& value = *found->second;
    if (value.spec().shape != member.value.spec().shape || !is_float(value.spec().dtype))
      different.push_back(fmt::format("\"{}\": expected {}, got {}", name, member.value.spec().text(), value.spec().text()));
    else
      loaded.add({member.name, member.kind, as_f32(value)});
    given.erase(found);
  }
  for (const auto& [name, value] : given) unexpected.push_back(fmt::format("\"{}\" {}", name, value->spec().shape.text()));
  std::string problems;
  add_problem(problems, "missing", missing);
  add_problem(problems, "unexpected", unexpected);
  add_problem(problems, "different", different);
  if (!problems.empty()) fail(ErrorKind::content, "\"{}\": does not fit this model: {}; \"except\" leaves layers as they begin", path, problems);
  loaded.restore(visit, "\"" + path + "\"");
  return kept;
}

}  // namespace lockstep
