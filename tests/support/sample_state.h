#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/state_visitor.h"

namespace lockstep::testing {

/// A small state with a member of every kind, as a trainer has one.
struct SampleState {
  Tensor weight{{Shape{3, 4}, Dtype::f32}};
  Tensor bias{{Shape{3}, Dtype::bf16}};
  Tensor momentum{{Shape{3, 4}, Dtype::f32}};
  Tensor carried{{Shape{8, 2}, Dtype::f32}};
  std::int64_t step = 0;
  double loss_scale = 1.0;
  std::vector<double> history;
  std::string note;

  explicit SampleState(float seed) : step(static_cast<std::int64_t>(seed)), history{seed, seed / 3}, note("seed of this state") {
    for (int i = 0; i < 12; ++i) {
      weight.as<float>()[i] = seed + static_cast<float>(i) / 7;
      momentum.as<float>()[i] = -seed * static_cast<float>(i);
    }
    for (int i = 0; i < 3; ++i) bias.as<std::uint16_t>()[i] = static_cast<std::uint16_t>(0x3F80 + i);
    for (int i = 0; i < 16; ++i) carried.as<float>()[i] = seed * static_cast<float>(i);
  }

  void visit_weights(StateVisitor& visitor) {
    StatePart part(visitor, "parameters");
    visitor.tensor("head.weight", weight.view());
    visitor.tensor("head.bias", bias.view());
  }
  void visit(StateVisitor& visitor) {
    visit_weights(visitor);
    {
      StatePart optimizer(visitor, "optimizer");
      StatePart slot(visitor, "momentum");
      visitor.tensor("head.weight", momentum.view());
    }
    StatePart run(visitor, "run");
    visitor.integer("step", step);
    visitor.real("loss_scale", loss_scale);
    visitor.reals("history", history);
    visitor.text("note", note);
    visitor.positional("carried", carried.view(), 0, 8);
  }
};

}  // namespace lockstep::testing
