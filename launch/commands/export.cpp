#include <fmt/format.h>

#include <ostream>

#include "io/safetensors.h"
#include "launch/command.h"
#include "launch/loaded_model.h"

namespace lockstep {
namespace {

constexpr const char* kHelp = R"(Examples:
  lockstep export runs/first fashion.safetensors
  lockstep export runs/first/checkpoints/best fashion.safetensors

Writes parameters and moving averages as safetensors, under PyTorch's names and in its shapes: "head.weight",
"batch_norm.running_mean". PyTorch loads them with safetensors.torch.load_file.
)";

int run(const Arguments& arguments, CommandContext& context) {
  const auto& given = arguments.positional();
  if (given.size() != 2) fail(ErrorKind::usage, "export: expected a checkpoint and a file to write, got {} arguments", given.size());
  const std::string path = checkpoint_path(given[0]);
  const Checkpoint checkpoint = read_checkpoint(path);
  const auto tensors = export_names(checkpoint.state);
  write_safetensors(given[1], tensors, {{"format", "pt"}, {"created_by", checkpoint.meta.created_by}, {"step", std::to_string(checkpoint.meta.step)}});
  context.out << fmt::format("{}: {} tensors of {}\n", given[1], tensors.size(), path);
  return 0;
}

const RegisterCommand registered({.name = "export",
                                  .summary = "write the weights of a checkpoint as safetensors",
                                  .usage = "CHECKPOINT OUT.safetensors",
                                  .help = kHelp,
                                  .options = {},
                                  .run = run});

}  // namespace
}  // namespace lockstep
