#pragma once

#include <chrono>
#include <functional>

#include "distributed/communicator.h"

namespace lockstep {

/// Runs `work` as ranks 0..ranks-1, each a thread with its communicator ("threads"), for tests and embedding. When a
/// rank throws, collectives of the others throw too; the first error is rethrown here once all have ended. A
/// collective that has waited for longer than `limit` ends the job with an `internal` error that names the
/// collective, the ranks that wait in it and where the others are. So does a collective that ranks call by different
/// names or with sizes that do not fit.
void run_ranks(int ranks, const std::function<void(Communicator&)>& work, std::chrono::milliseconds limit = std::chrono::seconds(60));

}  // namespace lockstep
