#pragma once

namespace lockstep {

/// From now on SIGUSR1, SIGUSR2, SIGTERM and the first SIGINT only ask for a stop; they may come any number of times. A
/// second SIGINT kills. The loop folds `stop_requested` of all ranks into its reduction, so that all stop at one step.
void install_signal_handlers();

/// Whether a stop was asked for on this rank. Any thread.
bool stop_requested();
/// The name of the first signal that asked ("SIGUSR2"), or "" where none did.
const char* stop_signal();
/// Forgets a request; for tests.
void clear_stop_request();

}  // namespace lockstep
