#include "distributed/agree.h"

#include <charconv>
#include <string>
#include <vector>

#include "core/base/text.h"
#include "distributed/rank_list.h"

namespace lockstep {

void agree(Communicator& communicator, const std::optional<Error>& mine) {
  const std::string report = mine ? fmt::format("{} {}", static_cast<int>(mine->kind()), mine->what()) : "";
  const std::vector<std::string> reports = all_gather_text(communicator, report);
  int kind = 0;
  std::vector<std::pair<std::string, std::vector<int>>> messages;
  for (std::size_t r = 0; r < reports.size(); ++r) {
    if (reports[r].empty()) continue;
    const std::size_t space = reports[r].find(' ');
    if (messages.empty()) std::from_chars(reports[r].data(), reports[r].data() + space, kind);
    const std::string message = reports[r].substr(space + 1);
    std::size_t at = 0;
    while (at < messages.size() && messages[at].first != message) ++at;
    if (at == messages.size()) messages.push_back({message, {}});
    messages[at].second.push_back(static_cast<int>(r));
  }
  if (messages.empty()) return;
  const bool of_all = messages[0].second.size() == reports.size();
  const bool of_rank_0 = messages.size() == 1 && messages[0].second == std::vector<int>{0};
  if (of_all || of_rank_0) throw Error(static_cast<ErrorKind>(kind), messages[0].first);
  std::vector<std::string> parts;
  for (const auto& [message, ranks] : messages) parts.push_back(rank_list(ranks) + ": " + message);
  throw Error(static_cast<ErrorKind>(kind), join(parts, "; "));
}

void agree_on(Communicator& communicator, const std::function<void()>& work) {
  std::optional<Error> mine;
  try {
    work();
  } catch (const Error& error) {
    mine = error;
  } catch (const std::exception& error) {
    mine = Error(ErrorKind::internal, error.what());
  }
  agree(communicator, mine);
}

}  // namespace lockstep
