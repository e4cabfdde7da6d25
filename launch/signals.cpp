#include "launch/signals.h"

#include <atomic>
#include <csignal>

namespace lockstep {
namespace {

std::atomic<int> first_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may touch lock-free atomics only");

void on_signal(int number) {
  int none = 0;
  const bool first = first_signal.compare_exchange_strong(none, number);
  if (number == SIGINT && !first && none == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT}) ::sigaction(number, &action, nullptr);
}

bool stop_requested() { return first_signal.load(std::memory_order_relaxed) != 0; }

const char* stop_signal() {
  switch (first_signal.load(std::memory_order_relaxed)) {
    case SIGUSR1:
      return "SIGUSR1";
    case SIGUSR2:
      return "SIGUSR2";
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    default:
      return "";
  }
}

void clear_stop_request() { first_signal.store(0); }

}  // namespace lockstep
