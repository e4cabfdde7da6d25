#pragma once

#include <span>
#include <string>

namespace lockstep {

/// Ascending ranks for messages: "rank 3", "ranks 0-2, 5".
std::string rank_list(std::span<const int> ranks);

}  // namespace lockstep
