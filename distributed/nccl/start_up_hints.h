#pragma once

#include <string>

namespace lockstep {

/// This process's NCCL_* variables, such as "NCCL_DEBUG=INFO, NCCL_IB_HCA=mlx5_0"; empty when there are none.
std::string nccl_settings();

/// What commonly keeps NCCL from starting, as the end of a message: settings that were seen here first.
std::string start_up_hints(int ranks_on_host);

/// `usage` error for an environment in which collectives are known to hang.
void require_sound_environment();

}  // namespace lockstep
