#pragma once

#include <cstddef>
#include <cstdint>

namespace lockstep::test {

/// What stands in the place of cuDNN's and cuBLASLt's plans does, told by the test: they compute on the host, literally, and
/// write rubbish over every byte of the workspace that they were promised.
struct StandIns {
  bool wide = true;          ///< an f32 weight gradient of 16-bit operands is served
  std::size_t workspace = 5000;  ///< of a plan, for any number of rows but
  std::int64_t odd_rows = -1;    ///< these, which want `odd_workspace`
  std::size_t odd_workspace = 0;
  bool whole_k = true;       ///< the algorithm of the largest product serves others too
  int runs = 0;              ///< so far
};
StandIns& stand_ins();

}  // namespace lockstep::test
