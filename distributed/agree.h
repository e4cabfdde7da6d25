#pragma once

#include <functional>
#include <optional>

#include "core/base/error.h"
#include "distributed/communicator.h"

namespace lockstep {

/// Safe points: start-up, between steps. Collective. When any rank brings an error, every rank throws the same one: the
/// kind of the lowest such rank, and messages in rank order, such as `rank 3: checkpoint "a.h5": no space left`. A
/// message that all ranks share stands alone, and so does one of rank 0 alone, which does the work with files.
void agree(Communicator& communicator, const std::optional<Error>& mine);

/// Runs `work`, which must hold no collective, and agrees on its outcome. Any exception counts; one that is no Error
/// is `internal`.
void agree_on(Communicator& communicator, const std::function<void()>& work);

}  // namespace lockstep
