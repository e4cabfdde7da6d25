#include "core/train/recorder.h"

#include <algorithm>

namespace lockstep {

void Recorder::run(const std::vector<std::int64_t>& signature, const std::function<void()>& work) {
  if (!enabled_) return work();
  State& state = states_[signature];
  if (state.seen && !state.cannot && !state.recording) {
    state.recording = device_.record(work);
    state.cannot = !state.recording;
  }
  state.seen = true;
  if (state.recording) return state.recording->replay();
  work();
}

int Recorder::recordings() const {
  return static_cast<int>(std::ranges::count_if(states_, [](const auto& entry) { return entry.second.recording != nullptr; }));
}

}  // namespace lockstep
