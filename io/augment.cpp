#include "io/augment.h"

namespace lockstep {

std::vector<AugmentStep> make_augmentations(std::span<const Value> list) {
  std::vector<AugmentStep> result;
  for (const Value& value : list) {
    const std::string kind = plug_in_name<Augmentation>(value, value.place().text());
    int same = 1;
    for (const AugmentStep& step : result) same += step.name == kind || step.name.starts_with(kind + ".");
    result.push_back({make_plug_in<Augmentation>(value), same == 1 ? kind : fmt::format("{}.{}", kind, same)});
  }
  return result;
}

double read_probability(Options& options, std::string_view name) {
  const Value* main = options.take(name);
  if (!main || !main->is_boolean()) return options.real(name, {}, {.least = 0.0, .most = 1.0});
  if (!options.boolean(name)) fail(ErrorKind::run_file, "{}\"{}\": expected a probability, got false", options.where(name), name);
  return 0.5;
}

}  // namespace lockstep
