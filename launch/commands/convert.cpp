#include <ostream>

#include <fmt/format.h>

#include "core/base/text.h"
#include "io/convert.h"
#include "launch/command.h"

namespace lockstep {
namespace {

constexpr const char* kHelp = R"(Examples:
  lockstep convert fashion-mnist fashion.h5
  lockstep convert fashion-mnist fashion.h5 --folder=/data/fashion-mnist
  lockstep convert idx images-idx3-ubyte.gz labels-idx1-ubyte.gz digits.h5

Writes an HDF5 file as `train` reads it: a group for each split with `images` and `labels`, and mean and standard
deviation of the training images. The file is whole and durable, or not there at all; one that exists is left alone.
)";

int run(const Arguments& arguments, CommandContext& context) {
  std::vector<std::string> files = arguments.positional();
  const std::vector<std::string> known = Registry<Converter>::instance().names();
  if (files.size() < 2)
    fail(ErrorKind::usage, "convert: expected FORMAT [FILE ...] OUT.h5; known formats: {}; see \"lockstep help convert\"", join(known));
  const std::string format = files.front(), output = files.back();
  if (!Registry<Converter>::instance().find(format))
    fail(ErrorKind::usage, "convert: unknown format \"{}\"{}", format, hint(format, known));
  files.pop_back();
  files.erase(files.begin());
  Value options;
  if (const auto folder = arguments.value("folder")) options.set("folder", Value::text(*folder, {.file = "command line"}));
  const ConvertReport report = convert_file(format, files, output, options);
  for (const auto& dataset : report.datasets) context.out << fmt::format("{}:{}  {}\n", report.path, dataset.path, dataset.spec.text());
  context.out << fmt::format("{}: {}, {} classes\n", report.path, format_bytes(report.bytes), report.classes);
  return 0;
}

const RegisterCommand registered({.name = "convert",
                                  .summary = "make an HDF5 data file of a foreign format",
                                  .usage = "FORMAT [FILE ...] OUT.h5",
                                  .help = kHelp,
                                  .options = {{"folder", "DIR", "where the format's files lie (fashion-mnist)"}},
                                  .run = run});

}  // namespace
}  // namespace lockstep
