#include "tests/support/small_training.h"

#include "core/model/state_digest.h"
#include "core/train/evaluator.h"
#include "core/train/run_state.h"
#include "distributed/allreduce_gradient_synchronizer.h"
#include "distributed/device_allreduce_gradient_synchronizer.h"
#include "distributed/device_statistics_reducer.h"
#include "distributed/device_tree_gradient_synchronizer.h"
#include "distributed/fast_statistics_reducer.h"
#include "distributed/gathering_visitor.h"
#include "distributed/self_device_communicator.h"
#include "distributed/staged_device_communicator.h"
#include "distributed/thread_communicator.h"
#include "distributed/tree_gradient_synchronizer.h"
#include "distributed/tree_statistics_reducer.h"
#include "launch/run_file.h"
#include "tests/support/layer_case.h"
#include "tests/support/synthetic_source.h"

namespace lockstep::test {
namespace {

/// A plug-in from its TOML.
template <class T>
std::unique_ptr<T> parse_plug_in(const std::string& text) {
  return make_plug_in<T>(*parse_run_text("plug_in = " + text, "test").find("plug_in"));
}

std::vector<BatchField> fields_of(const Graph& graph) {
  std::vector<BatchField> fields;
  for (const int value : graph.inputs())
    fields.push_back({graph.values()[static_cast<std::size_t>(value)].name, graph.values()[static_cast<std::size_t>(value)].spec});
  return fields;
}

std::unique_ptr<Backend> cpu(int threads) { return make_from<Backend>({{"cpu", Value::boolean(true)}, {"threads", Value::integer(threads)}}); }

class ByInstruction final : public Backend {
 public:
  explicit ByInstruction(std::unique_ptr<Backend> kernels) : kernels_(std::move(kernels)) {}
  std::string name() const override { return kernels_->name(); }
  std::string describe() const override { return kernels_->describe(); }
  std::vector<Precision> precisions() const override { return kernels_->precisions(); }
  Device& device() override { return kernels_->device(); }
  WorkOrder order() const override { return WorkOrder::by_instruction; }
  std::unique_ptr<Kernel> make(const OpSpec& spec) const override { return kernels_->make(spec); }
  int workers() const override { return kernels_->workers(); }
  void parallel(int tasks, const std::function<void(int task, int worker)>& body) override { kernels_->parallel(tasks, body); }

 private:
  std::unique_ptr<Backend> kernels_;
};

struct Reducers {
  std::unique_ptr<DeviceCommunicator> ranks;  ///< null on the host
  std::unique_ptr<StatisticsReducer> statistics;
  std::unique_ptr<GradientSynchronizer> gradients;
};

Reducers make_reducers(const SmallTraining& t, Backend& backend, Communicator& ranks) {
  const bool exact = t.mode == RunMode::exact;
  Reducers made;
  if (!backend.device().is_host()) {
    if (ranks.size() == 1)
      made.ranks = std::make_unique<SelfDeviceCommunicator>(backend.device());
    else
      made.ranks = std::make_unique<StagedDeviceCommunicator>(backend.device(), ranks);
    made.statistics = std::make_unique<DeviceStatisticsReducer>(t.mode, backend, *made.ranks);
    if (exact)
      made.gradients = std::make_unique<DeviceTreeGradientSynchronizer>(backend, *made.ranks, t.lanes);
    else
      made.gradients = std::make_unique<DeviceAllReduceGradientSynchronizer>(backend, *made.ranks);
  } else if (exact) {
    made.statistics = std::make_unique<TreeStatisticsReducer>(ranks);
    made.gradients = std::make_unique<TreeGradientSynchronizer>(ranks, t.lanes);
  } else {
    made.statistics = std::make_unique<FastStatisticsReducer>(ranks);
    made.gradients = std::make_unique<AllReduceGradientSynchronizer>(ranks);
  }
  return made;
}

}  // namespace

std::unique_ptr<Backend> cpu_by_instruction(int threads) { return std::make_unique<ByInstruction>(cpu(threads)); }

SmallResult train(const SmallTraining& t, Communicator& ranks) {
  const Graph graph = t.graph(activation_dtype(t.precision));
  const auto fields = fields_of(graph);
  const auto plan = std::make_shared<const Plan>(make_plan(
      graph, {.precision = t.precision, .global_batch = t.global_batch, .lanes = t.lanes, .bucket_bytes = 2048, .block_elements = 50}));
  const RankShare share{lanes_of_rank(t.lanes, ranks.rank(), ranks.size())};
  const auto backend = t.backend ? t.backend(t.threads) : cpu(t.threads);
  const Reducers reducers = make_reducers(t, *backend, ranks);
  const auto optimizer = parse_plug_in<Optimizer>(t.optimizer);
  const auto schedule = parse_plug_in<Schedule>(t.schedule);
  const auto clipping = t.clip.empty() ? nullptr : parse_plug_in<Clipping>(t.clip);
  ParameterStore store(plan, 7, optimizer->slots(), backend->device());
  if (t.prepare) t.prepare(store);
  store.commit();
  Profile profile(backend->device());
  TrainingStep step({.plan = plan,
                     .backend = *backend,
                     .mode = t.mode,
                     .share = share,
                     .statistics = *reducers.statistics,
                     .gradients = *reducers.gradients,
                     .optimizer = *optimizer,
                     .clipping = clipping.get(),
                     .store = store,
                     .overflow = t.loss_scaling.dynamic() ? TrainingStep::Overflow::is_skipped : TrainingStep::Overflow::fails});
  step.record(t.record);
  if (t.profile) step.profile(&profile);
  SyntheticSource source(fields, t.samples, plan->lane_rows(), share.lanes);
  source.use(t.element);
  RunState state{.store = store,
                 .schedule = *schedule,
                 .callbacks = {},
                 .seed = 7,
                 .carried = make_carried(*plan, share.lanes.count() * plan->lane_rows(), backend->device()),
                 .first_row = share.lanes.first * plan->lane_rows(),
                 .total_rows = t.lanes * plan->lane_rows()};
  const std::vector<void*> carried = on_device(state.carried);
  SmallResult result;
  LossScale scale{.scale = t.loss_scaling.initial};
  for (int i = 0; i < t.steps; ++i) {
    const BatchPosition at{
        .epoch = state.epoch, .first = state.epoch_position, .samples = std::min(t.global_batch, t.samples - state.epoch_position)};
    const Progress progress{
        .step = state.step, .total_steps = t.steps, .steps_per_epoch = (t.samples + t.global_batch - 1) / t.global_batch};
    const StepBlock block{.seed = 7,
                          .step = state.step,
                          .updates = state.updates + 1,
                          .epoch = at.epoch,
                          .epoch_position = at.first,
                          .batch_samples = at.samples,
                          .learning_rate = static_cast<float>(t.learning_rate * schedule->factor(progress)),
                          .momentum = static_cast<float>(schedule->momentum(progress).value_or(optimizer->momentum())),
                          .loss_scale = static_cast<float>(scale.scale)};
    const StepResult done = step.run(block, source.batch(at, {}), carried);
    result.losses.push_back(done.loss);
    result.gradient_norms.push_back(done.gradient_norm);
    result.loss_scales.push_back(scale.scale);
    result.updated.push_back(done.updated);
    if (t.loss_scaling.dynamic()) scale = next(t.loss_scaling, scale, done.updated);
    state.step += 1;
    state.updates += done.updated ? 1 : 0;
    state.epoch_position += at.samples;
    if (state.epoch_position == t.samples) state.epoch += 1, state.epoch_position = 0;
  }
  result.recordings = step.recordings();
  if (t.profile) t.profile(profile);
  Evaluator evaluator(plan, *backend, t.mode, share, *reducers.statistics);
  result.metrics = evaluator.run(source, store.view(), store.device_states());
  evaluator.predict(source, store.view(), store.device_states(), [&](const BatchSlot& slot, ConstTensorView output) {
    if (output.spec.dtype != Dtype::f32) return;
    const std::int64_t size = output.spec.elements() / std::max<std::int64_t>(slot.rows, 1);
    for (std::int64_t row = 0; row < slot.rows; ++row) {
      const float* first = output.as<float>() + row * size;
      result.outputs[slot.position.first + slot.first_row + row].assign(first, first + size);
    }
  });
  store.download();
  for (const PlanParameter& p : plan->parameters)
    result.tensors[p.name].assign(store.parameters() + p.offset, store.parameters() + p.offset + p.spec.shape.elements());
  for (std::size_t i = 0; i < plan->states.size(); ++i)
    if (const MirroredTensor& state_tensor = store.states()[i];
        plan->states[i].spec.scope == StateScope::run && state_tensor.spec().dtype == Dtype::f32)
      result.tensors[plan->states[i].name].assign(state_tensor.as<float>(), state_tensor.as<float>() + state_tensor.spec().elements());
  result.digest = state_digest([&](StateVisitor& visitor) {
    GatheringVisitor whole(ranks, visitor);
    state.visit(whole);
  });
  result.parameters.assign(store.parameters(), store.parameters() + plan->arena_elements);
  result.gradients = store.download_gradients();
  return result;
}

SmallResult train_on(int count, const SmallTraining& training) {
  std::vector<SmallResult> results(static_cast<std::size_t>(count));
  run_ranks(count, [&](Communicator& ranks) { results[static_cast<std::size_t>(ranks.rank())] = train(training, ranks); });
  for (SmallResult& other : results) results[0].outputs.merge(other.outputs);
  return std::move(results[0]);
}

Graph small_residual_network(Dtype dtype) {
  Graph graph;
  const int image = graph.input("input", {Shape{6, 6, 2}, dtype});
  const int target = graph.input("target", {Shape{}, Dtype::i64});
  const auto conv = [&](int from, const std::string& name) {
    return graph.add("conv2d",
                     make_from<Layer>({{"conv2d", Value::integer(8)}, {"size", Value::integer(3)}, {"bias", Value::boolean(false)}}), name,
                     {from});
  };
  const int x = graph.add("relu", make_from<Layer>("relu"), "relu",
                          {graph.add("batch_norm", make_from<Layer>("batch_norm"), "norm", {conv(image, "stem")})});
  const int y = graph.add("batch_norm", make_from<Layer>("batch_norm"), "norm_2", {conv(x, "body")});
  const int z = graph.add("relu", make_from<Layer>("relu"), "relu_2", {graph.add("add", make_from<Layer>("add"), "sum", {y, x})});
  const int dropped = graph.add("dropout", make_from<Layer>({{"dropout", Value::real(0.25)}}), "dropout", {z});
  const int pooled = graph.add("global_average_pool", make_from<Layer>("global_average_pool"), "pool", {dropped});
  const int logits = graph.add("dense", make_from<Layer>({{"dense", Value::integer(3)}}), "head", {pooled});
  graph.set_output(logits);
  graph.add_loss("cross_entropy", make_from<Loss>({{"cross_entropy", Value::text("target")}, {"label_smoothing", Value::real(0.1)}}),
                 "loss", {logits, target});
  graph.add_metric("accuracy", make_from<Metric>("accuracy"), "accuracy", {logits, target});
  return graph;
}

}  // namespace lockstep::test
