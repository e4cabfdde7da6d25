#include "distributed/communicator.h"

namespace lockstep {

std::vector<std::string> all_gather_text(Communicator& communicator, const std::string& text) {
  const auto size = static_cast<std::size_t>(communicator.size());
  const std::uint64_t mine = text.size();
  std::vector<std::uint64_t> lengths(size);
  communicator.all_gather(&mine, lengths.data(), std::vector<std::size_t>(size, sizeof mine));
  const std::vector<std::size_t> bytes(lengths.begin(), lengths.end());
  std::size_t total = 0;
  for (std::size_t length : bytes) total += length;
  std::string all(total, '\0');
  communicator.all_gather(text.data(), all.data(), bytes);
  std::vector<std::string> result;
  std::size_t at = 0;
  for (std::size_t length : bytes) {
    result.push_back(all.substr(at, length));
    at += length;
  }
  return result;
}

std::string broadcast_text(Communicator& communicator, const std::string& text, int root) {
  std::uint64_t length = text.size();
  communicator.broadcast(&length, sizeof length, root);
  std::string result = text;
  result.resize(length);
  communicator.broadcast(result.data(), length, root);
  return result;
}

}  // namespace lockstep
