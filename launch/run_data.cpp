#include "launch/run_data.h"

namespace lockstep {
namespace {

LoaderOptions loader_options(const Dataset& dataset, const Plan& plan, const Engine& engine, std::uint64_t seed) {
  return {.seed = seed, .global_batch = plan.options.global_batch, .lane_rows = plan.lane_rows(), .lanes = engine.share.lanes,
          .fields = dataset.batch_fields(activation_dtype(plan.options.precision)), .stored = !engine.backend->device().is_host()};
}

}  // namespace

std::map<std::string, std::vector<double>> fitted_numbers(const Dataset& dataset) {
  std::map<std::string, std::vector<double>> result;
  for (const DatasetField& field : dataset.fields()) {
    result[field.options.name + ".mean"] = field.scaler.mean;
    result[field.options.name + ".deviation"] = field.scaler.deviation;
  }
  return result;
}

std::vector<Scaler> scalers_of(const Snapshot& checkpoint, const std::vector<DataField>& fields) {
  const auto numbers = [&](const std::string& name) {
    const Snapshot::Member* member = checkpoint.find("fitted/" + name);
    if (!member) return std::vector<double>();
    const double* values = member->value.as<double>();
    return std::vector<double>(values, values + member->value.spec().elements());
  };
  std::vector<Scaler> result;
  for (const DataField& field : fields) result.push_back({numbers(field.name + ".mean"), numbers(field.name + ".deviation")});
  return result;
}

namespace {

/// The model is compiled for the training set's samples; rows of another size would be read as if they had its size.
void require_same_samples(const Dataset& train, const Dataset& validation) {
  for (std::size_t i = 0; i < train.fields().size(); ++i) {
    const Shape &wanted = train.fields()[i].sample.shape, &got = validation.fields()[i].sample.shape;
    if (wanted != got)
      fail(ErrorKind::content, "[data] validation: \"{}\": expected samples of {} as in the training set, got {}", train.fields()[i].options.name, wanted.text(),
           got.text());
  }
}

}  // namespace

std::optional<std::vector<BatchField>> declared_fields(const RunConfig& config, Dtype activations) {
  const auto nothing = Dataset::noise(config.data, 0);
  if (!nothing) return {};
  return nothing->batch_fields(activations);
}

RunData load_run_data(const RunConfig& config) {
  RunData data{.train = Dataset::load(config.data, config.data.train)};
  if (!config.data.validation.empty()) data.validation = Dataset::load(config.data, config.data.validation, data.train.scalers());
  if (data.validation) require_same_samples(data.train, *data.validation);
  data.augmentations = make_augmentations(config.data.augment);
  return data;
}

std::unique_ptr<Loader> training_loader(const RunData& data, const RunConfig& config, const Plan& plan, const Engine& engine) {
  const auto seed = static_cast<std::uint64_t>(config.run.seed);
  const Sampler sampler(data.train.samples(), config.data.shuffle ? SampleOrder::shuffled : SampleOrder::as_stored, seed);
  return std::make_unique<Loader>(data.train, sampler, data.augmentations, loader_options(data.train, plan, engine, seed));
}

std::unique_ptr<Loader> evaluation_loader(const Dataset& dataset, const Plan& plan, const Engine& engine) {
  const Sampler sampler(dataset.samples(), SampleOrder::as_stored, 0);
  return std::make_unique<Loader>(dataset, sampler, std::span<const AugmentStep>(), loader_options(dataset, plan, engine, 0));
}

}  // namespace lockstep
