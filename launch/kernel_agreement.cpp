#include "launch/kernel_agreement.h"

#include "core/base/hash.h"
#include "distributed/agree.h"
#include "distributed/start_up.h"

namespace lockstep {
namespace {

std::string digest_of_engines(const Backend& backend) {
  const KernelChoices* choices = backend.choices();
  if (!choices) return "";
  const std::string used = choices->used();
  return digest_hex(used.data(), used.size()).substr(0, 8);
}

}  // namespace

void agree_on_kernels(const Backend& backend, Communicator& ranks, const std::string& earlier) {
  KernelChoices* choices = nullptr;
  std::string known;
  agree_on(ranks, [&] {
    choices = backend.choices();
    if (!choices || ranks.rank() != 0) return;
    if (!earlier.empty()) choices->prefer(earlier);
    if (ranks.size() > 1) known = choices->known();
  });
  if (!choices || ranks.size() == 1) return;
  known = broadcast_text(ranks, known);
  if (ranks.rank() != 0) choices->replace(known);
}

std::vector<std::string> settle_kernels(const Backend& backend, Communicator& ranks) {
  KernelChoices* choices = backend.choices();
  if (!choices) return {};
  compare_facts(ranks, {{.name = "engines", .value = digest_of_engines(backend), .remedy = "use nodes with the same GPUs, driver and libraries"}});
  if (ranks.rank() != 0) return {};
  choices->keep();
  return choices->take_notes();
}

std::string fingerprint_of(const Backend& backend) {
  const std::string engines = digest_of_engines(backend);
  return backend.describe() + (engines.empty() ? "" : ", engines " + engines);
}

std::string kept_plans(const std::function<const char*(const char*)>& environment) {
  const auto variable = [&](const char* name) {
    const char* value = environment(name);
    return std::string(value ? value : "");
  };
  if (const std::string own = variable("LOCKSTEP_CUDA_PLANS"); !own.empty()) return own;
  if (const std::string cache = variable("XDG_CACHE_HOME"); !cache.empty()) return cache + "/lockstep/cuda-plans";
  if (const std::string home = variable("HOME"); !home.empty()) return home + "/.cache/lockstep/cuda-plans";
  return "";
}

}  // namespace lockstep
