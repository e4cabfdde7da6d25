#include <charconv>

#include "core/backend/cuda/vendor/convolution_plan.h"
#include "core/base/error.h"

namespace lockstep::cuda {

std::string ConvolutionProblem::text() const {
  const auto& g = geometry;
  const std::string_view name =
      pass == ConvolutionPass::forward ? "forward" : (pass == ConvolutionPass::backward_data ? "backward_data" : "backward_weights");
  return fmt::format("{} {}{}{} {}x{}x{} {}x{}x{} {}x{}/{}x{} pad {},{},{},{} groups {}{}", name, name_of(dtype), tf32 ? " tf32" : "",
                     wide ? " wide" : "", g.input[0], g.input[1], g.in, g.output[0], g.output[1], g.out, g.kernel[0], g.kernel[1],
                     g.stride[0], g.stride[1], g.pad_low[0], g.pad_low[1], g.pad_high[0], g.pad_high[1], g.groups, g.bias ? " bias" : "");
}

std::string EngineChoice::text() const {
  std::string text = std::to_string(engine);
  char separator = ':';
  for (const auto& [knob, value] : knobs) {
    text += fmt::format("{}{}={}", separator, knob, value);
    separator = ',';
  }
  return text;
}

EngineChoice EngineChoice::parse(std::string_view text) {
  const std::string_view whole = text;
  const auto number = [&](auto& to) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
    if (error != std::errc{}) fail(ErrorKind::content, "cuda: expected an engine such as \"22:11=1,24=3\", got \"{}\"", whole);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  };
  const auto skip = [&](char what) {
    if (text.empty() || text.front() != what) fail(ErrorKind::content, "cuda: expected an engine such as \"22:11=1,24=3\", got \"{}\"", whole);
    text.remove_prefix(1);
  };
  EngineChoice choice;
  number(choice.engine);
  for (char separator = ':'; !text.empty(); separator = ',') {
    int knob = 0;
    skip(separator);
    number(knob);
    skip('=');
    number(choice.knobs[knob]);
  }
  return choice;
}

std::string EngineFacts::name() const { return fmt::format("engine {}{}", choice.engine, runtime_compiled ? " compiled" : ""); }

}  // namespace lockstep::cuda
