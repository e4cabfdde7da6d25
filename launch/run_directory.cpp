#include "launch/run_directory.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "io/atomic_file.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostRecordBytes = 65536;
constexpr std::array<std::string_view, 4> kPhases = {"running", "done", "stopped", "failed"};
constexpr int kRunning = 1;

bool exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

RunLock make_and_lock(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (!error && !fs::is_directory(directory, error)) error = std::make_error_code(std::errc::not_a_directory);
  if (error) fail(ErrorKind::io, "\"{}\": cannot make the run directory: {}", directory, error.message());
  return RunLock(directory);
}

std::string progress(const RunRecord& record) {
  return fmt::format("step {} of {}", format_count(record.step), format_count(record.total_steps));
}

bool has_checkpoints(const RunPaths& paths) {
  std::error_code error;
  return fs::directory_iterator(paths.checkpoints(), error) != fs::directory_iterator() && !error;
}

}  // namespace

std::optional<RunRecord> read_record(const RunPaths& paths) {
  if (!exists(paths.state())) return {};
  const std::string text = read_text(paths.state(), kMostRecordBytes);
  try {
    const auto json = nlohmann::json::parse(text);
    RunRecord record;
    const std::string phase = json.at("state").get<std::string>();
    const auto found = std::find(kPhases.begin(), kPhases.end(), phase);
    if (found == kPhases.end())
      fail(ErrorKind::content, "\"{}\": unknown state \"{}\"; known: {}", paths.state(), phase, fmt::join(kPhases, ", "));
    record.phase = static_cast<RunPhase>(found - kPhases.begin());
    record.step = json.at("step").get<std::int64_t>();
    record.total_steps = json.at("total_steps").get<std::int64_t>();
    record.epoch = json.at("epoch").get<std::int64_t>();
    record.exit_code = json.at("exit_code").get<int>();
    record.message = json.at("message").get<std::string>();
    return record;
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::content, "\"{}\": is no state of a run; remove the file to let the checkpoints speak", paths.state());
  }
}

void write_record(const RunPaths& paths, const RunRecord& record) {
  nlohmann::ordered_json json;
  json["schema"] = 1;
  json["state"] = kPhases[static_cast<std::size_t>(record.phase)];
  json["step"] = record.step;
  json["total_steps"] = record.total_steps;
  json["epoch"] = record.epoch;
  json["exit_code"] = record.exit_code;
  json["message"] = record.message;
  commit_text(paths.state(), json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

RunDirectory::RunDirectory(const std::string& directory, IfExists if_exists)
    : paths_{directory}, lock_(make_and_lock(directory)), holds_run_(exists(paths_.run_file()) || exists(paths_.state())) {
  if (!holds_run_) return;
  earlier_ = read_record(paths_);
  if (if_exists == IfExists::resume) return;
  const std::string state = !earlier_ ? std::string("not started")
                            : earlier_->phase == RunPhase::running
                                ? fmt::format("killed, {}", progress(*earlier_))
                                : fmt::format("{}, {}", kPhases[static_cast<std::size_t>(earlier_->phase)], progress(*earlier_));
  fail(ErrorKind::usage,
       "\"{}\": holds a run already ({}): go on with \"lockstep resume {}\", set run.if_exists=resume, or choose another run.directory",
       directory, state, directory);
}

RunStatus run_status(const std::string& directory) {
  const RunPaths paths{directory};
  const auto record = read_record(paths);
  const auto holder = RunLock::holder(directory);
  if (holder) return {kRunning, fmt::format("running: {}{}", record ? progress(*record) + ", " : "", *holder)};
  if (!record && !exists(paths.run_file()))
    fail(ErrorKind::usage, "\"{}\": holds no run: neither run.toml nor state.json is there", directory);
  constexpr int kAgain = static_cast<int>(ErrorKind::stopped);
  if (!record) return {kAgain, "start again: the run ended before its first step"};
  switch (record->phase) {
    case RunPhase::done:
      return {0, fmt::format("done: {}{}{}", progress(*record), record->message.empty() ? "" : ", ", record->message)};
    case RunPhase::stopped:
      return {kAgain,
              fmt::format("start again: stopped at {}{}{}", progress(*record), record->message.empty() ? "" : ", ", record->message)};
    case RunPhase::failed:
      return {record->exit_code, fmt::format("failed: {}, exit code {}: {}", progress(*record), record->exit_code, record->message)};
    case RunPhase::running:
      break;
  }
  return {kAgain, fmt::format("start again: killed after {}; {}", progress(*record),
                              has_checkpoints(paths) ? "a checkpoint is there" : "no checkpoint yet, so from the start")};
}

}  // namespace lockstep
