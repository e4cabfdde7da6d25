// Share of samples whose label is among the k largest logits; of equal logits the first counts. Logits [classes], labels i64 [].
#include "core/model/layer.h"

namespace lockstep {
namespace {

class TopK : public Metric {
 public:
  explicit TopK(std::int64_t k) : k_(k) {}

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    if (inputs.size() != 2) fail(ErrorKind::run_file, "expected logits and labels, got {} inputs", inputs.size());
    if (inputs[0].shape.rank() != 1 || !is_activation(inputs[0].dtype))
      fail(ErrorKind::run_file, "expected logits [k] f32, bf16 or f16, got {}", inputs[0].text());
    if (!(inputs[1] == TensorSpec{{}, Dtype::i64})) fail(ErrorKind::run_file, "expected labels [] i64, got {}", inputs[1].text());
    if (k_ > inputs[0].shape[0])
      fail(ErrorKind::run_file, "expected at least {} logits for top_k = {}, got {}", k_, k_, inputs[0].shape.text());
    LayerSpec spec;
    spec.statistics = {{"top_k", 2}};
    spec.evaluate = {lane_phase("top_k.count", {{Role::input, 0}, {Role::input, 1}}, {{Role::statistic, 0}}, {{"k", k_}}),
                     reduce_phase(ReduceKind::add, {0})};
    return spec;
  }

 private:
  std::int64_t k_;
};

std::unique_ptr<Metric> make(Options& options) { return std::make_unique<TopK>(options.integer("top_k", {}, {1, 1 << 20})); }

const Register<Metric> registered{{.name = "top_k", .summary = "share of samples whose label is among the k largest logits", .make = make}};

}  // namespace
}  // namespace lockstep
