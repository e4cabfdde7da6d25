#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "distributed/communicator.h"

namespace lockstep {

/// Something that must be equal on all ranks before the first step.
struct StartUpFact {
  std::string name;                   ///< "run file", "model", "data index", "numerics", "seed", ...
  std::string value;                  ///< a digest or a short text
  ErrorKind kind = ErrorKind::usage;  ///< of the error when ranks differ
  std::string remedy;                 ///< ends the message; may be empty
};

/// Collective, the first of a job. Every rank gives the same facts in the same order. A difference is an error on every
/// rank that names the first fact that differs, both values and who has them:
/// `start-up: the ranks differ in "seed": ranks 0-2 have "7", rank 3 has "8"; start all ranks with the same command`.
void compare_facts(Communicator& communicator, const std::vector<StartUpFact>& facts);

/// `usage` error when there are more ranks than lanes. Local.
void require_lanes(int lanes, int ranks);

}  // namespace lockstep
