#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace lockstep {

/// One member of a state as `inspect` shows it. Minimum, mean and maximum are over the elements that are not NaN, and
/// are NaN where there are none; a text has none.
struct MemberSummary {
  std::string name;
  MemberKind kind = MemberKind::tensor;
  TensorSpec spec;
  std::uint64_t bytes = 0;
  double minimum = 0, mean = 0, maximum = 0;
  std::int64_t nans = 0;
  std::string digest;
};

MemberSummary summarize(const Snapshot::Member& member);

struct CheckpointSummary {
  CheckpointMeta meta;
  std::string digest;  ///< of the whole state
  std::uint64_t bytes = 0;
  std::vector<MemberSummary> members;  ///< in the order of the visit
};

/// Reads and verifies a checkpoint; errors as for read_checkpoint.
CheckpointSummary inspect_checkpoint(const std::string& path);

}  // namespace lockstep
