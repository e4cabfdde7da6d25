#include "distributed/start_up.h"

#include <utility>

#include "core/base/text.h"
#include "distributed/rank_list.h"

namespace lockstep {
namespace {

void compare(const StartUpFact& fact, const std::vector<std::string>& values) {
  std::vector<std::pair<std::string, std::vector<int>>> held;
  for (std::size_t r = 0; r < values.size(); ++r) {
    std::size_t at = 0;
    while (at < held.size() && held[at].first != values[r]) ++at;
    if (at == held.size()) held.push_back({values[r], {}});
    held[at].second.push_back(static_cast<int>(r));
  }
  if (held.size() == 1) return;
  std::vector<std::string> parts;
  for (const auto& [value, ranks] : held)
    parts.push_back(fmt::format("{} {} \"{}\"", rank_list(ranks), ranks.size() == 1 ? "has" : "have", value));
  const std::string remedy = fact.remedy.empty() ? "" : "; " + fact.remedy;
  fail(fact.kind, "start-up: the ranks differ in \"{}\": {}{}", fact.name, join(parts), remedy);
}

}  // namespace

void compare_facts(Communicator& communicator, const std::vector<StartUpFact>& facts) {
  std::string names;
  for (const StartUpFact& fact : facts) names += (names.empty() ? "" : ", ") + fact.name;
  compare({.name = "facts to compare", .value = names, .kind = ErrorKind::usage, .remedy = "start the same program on all ranks"},
          all_gather_text(communicator, names));
  std::string mine;
  for (const StartUpFact& fact : facts) mine += fmt::format("{}:{}", fact.value.size(), fact.value);
  const std::vector<std::string> all = all_gather_text(communicator, mine);
  std::vector<std::size_t> at(all.size(), 0);
  for (const StartUpFact& fact : facts) {
    std::vector<std::string> values;
    for (std::size_t r = 0; r < all.size(); ++r) {
      const std::size_t colon = all[r].find(':', at[r]), length = std::stoul(all[r].substr(at[r], colon - at[r]));
      values.push_back(all[r].substr(colon + 1, length));
      at[r] = colon + 1 + length;
    }
    compare(fact, values);
  }
}

void require_lanes(int lanes, int ranks) {
  if (lanes < ranks)
    fail(ErrorKind::usage, "{} lanes cannot serve {} ranks: set run.lanes to {} or more, or start fewer ranks", lanes, ranks, ranks);
}

}  // namespace lockstep
