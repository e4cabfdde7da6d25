#include "io/checkpoint_store.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/base/error.h"
#include "core/base/text.h"
#include "io/atomic_file.h"

namespace lockstep {
namespace {

constexpr std::string_view kPrefix = "step-", kSuffix = ".h5";
constexpr std::size_t kMostTextBytes = 4096;

/// The step of a name of our pattern.
std::optional<std::int64_t> step_of(std::string_view name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return {};
  const std::string_view digits = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  std::int64_t step = -1;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  if (problem != std::errc{} || end != digits.data() + digits.size() || step < 0 || CheckpointStore::file_name(step) != name) return {};
  return step;
}

}  // namespace

std::string CheckpointStore::file_name(std::int64_t step) { return fmt::format("{}{:08}{}", kPrefix, step, kSuffix); }

CheckpointStore::CheckpointStore(std::string directory, CheckpointPolicy policy, FileCalls calls)
    : directory_(std::move(directory)), policy_(std::move(policy)), calls_(std::move(calls)) {
  require(policy_.keep >= 1, "checkpoints: keep: expected at least 1, got {}", policy_.keep);
  remove_leftovers(directory_, calls_);
}

std::string CheckpointStore::path_of(std::string_view name) const { return (std::filesystem::path(directory_) / name).string(); }

std::string CheckpointStore::save(const CheckpointMeta& meta, const Snapshot& state) {
  require(meta.step >= 0, "checkpoints: step {} is negative", meta.step);
  std::error_code problem;
  std::filesystem::create_directories(directory_, problem);
  if (problem) fail(ErrorKind::io, "\"{}\": cannot make the directory: {}", directory_, problem.message());
  const std::string name = file_name(meta.step);
  save_checkpoint(path_of(name), meta, state, calls_);
  commit_text(path_of("latest"), name + "\n", calls_);
  update_best(meta, name);
  prune(meta.step);
  return path_of(name);
}

std::optional<CheckpointStore::Best> CheckpointStore::read_best() const {
  if (!std::filesystem::exists(path_of("best"))) return {};
  const std::string text = read_text(path_of("best"), kMostTextBytes);
  const std::size_t line = text.find('\n'), value_at = text.find(' ', line + 1);
  if (line == text.npos || value_at == text.npos) return {};
  if (!policy_.best.empty() && text.substr(line + 1, value_at - line - 1) != policy_.best) return {};
  Best best{.name = text.substr(0, line)};
  const auto [end, wrong] = std::from_chars(text.data() + value_at + 1, text.data() + text.size(), best.value);
  const bool known = step_of(best.name) && std::filesystem::is_regular_file(path_of(best.name));
  if (wrong != std::errc{} || *end != '\n' || !known) return {};
  return best;
}

void CheckpointStore::update_best(const CheckpointMeta& meta, const std::string& name) {
  const auto metric = meta.metrics.find(policy_.best);
  if (metric == meta.metrics.end() || std::isnan(metric->second)) return;
  const double value = metric->second;
  const auto best = read_best();
  const bool better = !best || best->name == name || (policy_.larger_is_better ? value > best->value : value < best->value);
  if (better) commit_text(path_of("best"), fmt::format("{}\n{} {}\n", name, policy_.best, value), calls_);
}

void CheckpointStore::finish_save(const FoundCheckpoint& found) { update_best(found.checkpoint.meta, file_name(found.checkpoint.meta.step)); }

std::optional<std::string> CheckpointStore::best_path() const {
  const auto best = read_best();
  if (!best) return {};
  return path_of(best->name);
}

std::map<std::int64_t, std::string> CheckpointStore::list() const {
  std::map<std::int64_t, std::string> found;
  std::error_code problem;
  std::filesystem::directory_iterator entries(directory_, problem);
  if (problem == std::errc::no_such_file_or_directory) return found;
  if (problem) fail(ErrorKind::io, "\"{}\": cannot list the directory: {}", directory_, problem.message());
  for (const auto& entry : entries) {
    const auto step = step_of(entry.path().filename().string());
    if (step && entry.symlink_status(problem).type() == std::filesystem::file_type::regular) found.emplace(*step, entry.path().string());
  }
  return found;
}

void CheckpointStore::prune(std::int64_t saved_step) {
  const auto best = best_path();
  const auto files = list();
  std::int64_t kept = 0;
  for (auto file = std::make_reverse_iterator(files.upper_bound(saved_step)); file != files.rend(); ++file) {
    if (++kept <= policy_.keep || file->second == best) continue;
    if (calls_.unlink(file->second.c_str()) != 0 && errno != ENOENT)
      fail(ErrorKind::io, "\"{}\": cannot remove: {}", file->second, std::strerror(errno));
  }
}

std::optional<FoundCheckpoint> CheckpointStore::find_latest() const {
  const auto files = list();
  std::vector<std::string> reasons;
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    try {
      FoundCheckpoint found{.path = file->second, .checkpoint = read_checkpoint(file->second, calls_)};
      if (!reasons.empty()) found.note = fmt::format("{}; using \"{}\"", join(reasons, "; "), found.path);
      return found;
    } catch (const Error& error) {
      reasons.emplace_back(error.what());
    }
  }
  if (!reasons.empty()) fail(ErrorKind::content, "\"{}\": no checkpoint can be used: {}", directory_, join(reasons, "; "));
  return {};
}

}  // namespace lockstep
