#pragma once

#include <functional>
#include <vector>

#include "core/model/lane_tree.h"
#include "core/train/batch_source.h"

namespace lockstep::test {

/// A source of made-up samples, each a pure function of its place in the data: whatever the ranks, the global batch is the
/// same. Floats are uniform in [-1, 1), integers in [0, classes).
class SyntheticSource final : public BatchSource {
 public:
  SyntheticSource(std::vector<BatchField> fields, std::int64_t samples, std::int64_t lane_rows, LaneSpan lanes, std::int64_t classes = 3);

  /// Element `i` of a sample's field, in place of the random ones.
  using Element = std::function<double(const BatchField& field, std::int64_t sample, std::int64_t i)>;
  void use(Element element) { element_ = std::move(element); }

  std::int64_t samples() const override { return samples_; }
  const std::vector<BatchField>& fields() const override { return fields_; }
  const BatchSlot& batch(const BatchPosition& position, const std::optional<BatchPosition>& next) override;

 private:
  void fill(std::size_t field, std::int64_t row, std::int64_t sample);

  std::vector<BatchField> fields_;
  std::int64_t samples_, lane_rows_;
  LaneSpan lanes_;
  std::int64_t classes_;
  Element element_;
  std::vector<Tensor> memory_;
  BatchSlot slot_;
};

}  // namespace lockstep::test
