#include "io/checkpoint_inspect.h"

#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"

namespace lockstep {
namespace {

double element(const Tensor& tensor, std::int64_t i) {
  switch (tensor.spec().dtype) {
    case Dtype::f32: return tensor.as<float>()[i];
    case Dtype::bf16: return to_float(tensor.as<BFloat16>()[i]);
    case Dtype::f16: return to_float(tensor.as<Float16>()[i]);
    case Dtype::f64: return tensor.as<double>()[i];
    case Dtype::u8: return tensor.as<std::uint8_t>()[i];
    case Dtype::i32: return tensor.as<std::int32_t>()[i];
    case Dtype::i64: return static_cast<double>(tensor.as<std::int64_t>()[i]);
  }
  fail(ErrorKind::internal, "inspect: unknown dtype");
}

}  // namespace

MemberSummary summarize(const Snapshot::Member& member) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  MemberSummary summary{.name = member.name, .kind = member.kind, .spec = member.value.spec(), .bytes = member.value.spec().bytes(),
                        .minimum = none, .mean = none, .maximum = none};
  summary.digest = member_digest(member.name, member.kind, member.value.view());
  if (member.kind == MemberKind::text) return summary;
  double sum = 0;
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < summary.spec.elements(); ++i) {
    const double value = element(member.value, i);
    if (std::isnan(value)) {
      ++summary.nans;
      continue;
    }
    summary.minimum = count ? std::fmin(summary.minimum, value) : value;
    summary.maximum = count ? std::fmax(summary.maximum, value) : value;
    sum += value;
    ++count;
  }
  if (count) summary.mean = sum / static_cast<double>(count);
  return summary;
}

CheckpointSummary inspect_checkpoint(const std::string& path) {
  Checkpoint checkpoint = read_checkpoint(path);
  CheckpointSummary summary{.meta = std::move(checkpoint.meta), .digest = std::move(checkpoint.digest), .bytes = checkpoint.state.bytes()};
  for (const Snapshot::Member& member : checkpoint.state.members()) summary.members.push_back(summarize(member));
  return summary;
}

}  // namespace lockstep
