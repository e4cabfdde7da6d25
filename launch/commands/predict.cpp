#include <fmt/format.h>

#include <memory>
#include <ostream>

#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"
#include "distributed/agree.h"
#include "distributed/world.h"
#include "io/predictions.h"
#include "launch/command.h"
#include "launch/kernel_agreement.h"
#include "launch/loaded_model.h"
#include "launch/run_data.h"

namespace lockstep {
namespace {

constexpr const char* kHelp = R"(Examples:
  lockstep predict runs/first --data new.h5:/images --out predictions.h5
  mpirun -np 4 lockstep predict runs/first/checkpoints/best --data fashion.h5:/test --out predictions.h5

Writes the model's output for every sample, in the order of the data: "predictions" f32 [samples, ...] and, for a
classifier, "classes" i64 [samples]. The data need no targets and no scaling: that of the training set is applied.
)";

void append(std::vector<float>& values, ConstTensorView output) {
  const std::int64_t count = output.spec.elements();
  const auto widen = [&](const auto* elements) {
    for (std::int64_t i = 0; i < count; ++i) values.push_back(to_float(elements[i]));
  };
  switch (output.spec.dtype) {
    case Dtype::f32: return widen(output.as<float>());
    case Dtype::bf16: return widen(output.as<BFloat16>());
    case Dtype::f16: return widen(output.as<Float16>());
    default: fail(ErrorKind::run_file, "predict: the model's output: expected f32, bf16 or f16, got {}", output.spec.text());
  }
}

/// This rank's rows of a batch and those of the others, in order.
void gather(Communicator& ranks, const LoadedModel& model, const BatchSlot& slot, const std::vector<float>& mine, std::vector<float>& all) {
  const std::int64_t width = model.plan->graph->values()[static_cast<std::size_t>(model.plan->graph->output())].spec.elements();
  std::vector<std::size_t> bytes;
  for (int r = 0; r < ranks.size(); ++r) {
    const LaneSpan lanes = lanes_of_rank(model.plan->options.lanes, r, ranks.size());
    const auto row = [&](int lane) { return std::min<std::int64_t>(lane * model.plan->lane_rows(), slot.position.samples); };
    bytes.push_back(static_cast<std::size_t>((row(lanes.last) - row(lanes.first)) * width) * sizeof(float));
  }
  const std::size_t before = all.size();
  all.resize(before + static_cast<std::size_t>(slot.position.samples * width));
  ranks.all_gather(mine.data(), all.data() + before, bytes);
}

int run(const Arguments& arguments, CommandContext& context) {
  const std::string checkpoint = arguments.only("checkpoint");
  const auto data = arguments.value("data"), out = arguments.value("out");
  if (!data || !out) fail(ErrorKind::usage, "predict: expected --data FILE and --out FILE");
  context.world = open_world();
  Communicator& ranks = *context.world;
  LoadedModel model = load_model(checkpoint, *data, ModelUse::inputs_alone, ranks);
  auto evaluator = std::make_unique<Evaluator>(model.plan, *model.engine.backend, model.engine.mode, model.engine.share, *model.engine.statistics);
  for (const std::string& note : settle_kernels(*model.engine.backend, ranks)) context.err << note << std::endl;
  const auto loader = evaluation_loader(model.data, *model.plan, model.engine);
  Predictions predictions{.sample = model.plan->graph->values()[static_cast<std::size_t>(model.plan->graph->output())].spec.shape};
  evaluator->predict(*loader, model.store->view(), model.store->device_states(), [&](const BatchSlot& slot, ConstTensorView output) {
    std::vector<float> mine;
    append(mine, output);
    gather(ranks, model, slot, mine, predictions.values);
  });
  agree_on(ranks, [&] {
    if (ranks.rank() == 0) write_predictions(*out, predictions);
  });
  if (ranks.rank() == 0) context.out << fmt::format("{}: {} samples, outputs {}", *out, model.data.samples(), predictions.sample.text()) << std::endl;
  evaluator.reset();  // ranks on devices part when nothing that was recorded can speak any more
  if (model.engine.device_ranks) model.engine.device_ranks->close();
  ranks.close();
  return 0;
}

const RegisterCommand registered({.name = "predict",
                                  .summary = "write a checkpoint's outputs for a data set",
                                  .usage = "CHECKPOINT --data FILE[:GROUP] --out FILE",
                                  .help = kHelp,
                                  .options = {{.name = "data", .value_name = "FILE", .help = "the data set: file.h5 or file.h5:/group"},
                                              {.name = "out", .value_name = "FILE", .help = "the HDF5 file to write"}},
                                  .run = run});

}  // namespace
}  // namespace lockstep
