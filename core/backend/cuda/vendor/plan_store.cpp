#include "core/backend/cuda/vendor/plan_store.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/base/error.h"

namespace lockstep::cuda {

namespace {

namespace fs = std::filesystem;

std::string path_of_kept(const std::string& kept, const PlanDevice& device) {
  if (kept.empty() || kept.ends_with(".json")) return kept;
  return (fs::path(kept) / device.file_name()).string();
}

/// Of all files of a folder, in the order of their names, what is for this GPU and version.
PlanFile read_carried(const std::string& folder, const PlanDevice& device) {
  std::vector<fs::path> paths;
  std::error_code ignored;
  if (!folder.empty())
    for (const auto& entry : fs::directory_iterator(folder, ignored))
      if (entry.path().extension() == ".json") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  PlanFile all{.device = device};
  for (const fs::path& path : paths)
    if (const auto file = PlanFile::read(path.string()); file && file->device.same_gpu(device)) all.merge(*file);
  return all;
}

}  // namespace

PlanStore::PlanStore(const Places& places, PlanDevice device) : device_(std::move(device)), kept_path_(path_of_kept(places.kept, device_)) {
  for (PlanFile* file : {&preferred_, &made_, &kept_}) file->device = device_;
  if (!kept_path_.empty())
    if (auto file = PlanFile::read(kept_path_); file && file->device == device_) kept_ = std::move(*file);
  carried_ = read_carried(places.carried, device_);
}

std::optional<std::string> PlanStore::engine(const std::string& problem) const {
  const std::lock_guard lock(mutex_);
  for (const PlanFile* file : {&preferred_, &made_, &kept_, &carried_})
    if (const auto found = file->engines.find(problem); found != file->engines.end()) return found->second.engine;
  return {};
}

std::optional<std::vector<std::uint8_t>> PlanStore::plan(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  for (const PlanFile* file : {&preferred_, &made_, &kept_, &carried_})
    if (const auto found = file->plans.find(key); found != file->plans.end()) return from_base64(found->second);
  return {};
}

void PlanStore::put_engine(const std::string& problem, const std::string& engine, double microseconds) {
  const std::lock_guard lock(mutex_);
  made_.engines[problem] = {.engine = engine, .microseconds = microseconds};
  unkept_ = true;
}

void PlanStore::put_plan(const std::string& key, const std::vector<std::uint8_t>& bytes) {
  const std::lock_guard lock(mutex_);
  made_.plans[key] = to_base64(bytes);
  preferred_.plans.erase(key);  // it was refused
  ++compiled_;
  unkept_ = true;
}

void PlanStore::use(const std::string& problem, const std::string& engine) {
  const std::lock_guard lock(mutex_);
  used_[problem] = engine;
}

void PlanStore::tried(const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (why.empty()) {
    ++loaded_;
    return;
  }
  ++refused_;
  if (why_refused_.empty()) why_refused_ = why;
}

void PlanStore::put_timing(const std::string& problem, Timing timing) {
  const std::lock_guard lock(mutex_);
  timings_.emplace_back(problem, std::move(timing));
}

bool PlanStore::add_timed_layer(const std::string& problem, const std::string& layer) {
  const std::lock_guard lock(mutex_);
  for (auto& [timed, timing] : timings_) {
    if (timed != problem) continue;
    timing.layers.push_back(layer);
    return true;
  }
  return false;
}

int PlanStore::loaded() const {
  const std::lock_guard lock(mutex_);
  return loaded_;
}

int PlanStore::compiled() const {
  const std::lock_guard lock(mutex_);
  return compiled_;
}

std::string PlanStore::describe() const {
  const std::lock_guard lock(mutex_);
  return fmt::format("{} engines, {} compiled plans ({} made now, {} stored)", used_.size(), compiled_ + loaded_, compiled_, loaded_);
}

std::string PlanStore::known() const {
  const std::lock_guard lock(mutex_);
  PlanFile all = carried_;
  for (const PlanFile* file : {&kept_, &made_, &preferred_}) all.merge(*file);
  return all.text();
}

/// Empty where it is for another GPU or version.
PlanFile PlanStore::followed(const std::string& text) const {
  auto file = PlanFile::parse(text);
  if (!file || !file->device.same_gpu(device_)) return {.device = device_};
  file->device = device_;
  return std::move(*file);
}

void PlanStore::replace(const std::string& known) {
  const std::lock_guard lock(mutex_);
  preferred_ = followed(known);
  // Plans stay: they are keyed by their engine, so they only spare compiling.
  for (PlanFile* file : {&made_, &kept_, &carried_}) file->engines.clear();
}

void PlanStore::prefer(const std::string& known) {
  const std::lock_guard lock(mutex_);
  preferred_.merge(followed(known));
}

std::string PlanStore::used() const {
  const std::lock_guard lock(mutex_);
  PlanFile file{.device = {.gpu = device_.gpu, .cudnn = device_.cudnn}};
  for (const auto& [problem, engine] : used_) file.engines[problem] = {.engine = engine};
  return file.text();
}

/// Merged with what another job has kept meanwhile; a new file takes the place of the old one at once.
void PlanStore::write_kept() const {
  PlanFile all{.device = device_};
  if (const auto there = PlanFile::read(kept_path_)) {
    if (there->device != device_) fail(ErrorKind::io, "it is for {}", there->device.text());
    all = *there;
  }
  all.merge(made_);
  const fs::path folder = fs::path(kept_path_).parent_path();
  std::error_code error;
  if (!folder.empty()) fs::create_directories(folder, error);
  if (error) fail(ErrorKind::io, "{}", error.message());
  const std::string fresh = fmt::format("{}.{}", kept_path_, getpid());
  std::ofstream file(fresh, std::ios::binary);
  file << all.text();
  file.close();
  if (file) fs::rename(fresh, kept_path_, error);
  if (file && !error) return;
  std::error_code ignored;
  fs::remove(fresh, ignored);
  fail(ErrorKind::io, "{}", error ? error.message() : "write failed");
}

void PlanStore::keep() {
  const std::lock_guard lock(mutex_);
  if (!unkept_) return;
  unkept_ = false;
  try {
    if (kept_path_.empty()) fail(ErrorKind::io, "no folder is known: set HOME, XDG_CACHE_HOME or LOCKSTEP_CUDA_PLANS");
    write_kept();
  } catch (const Error& error) {
    notes_.push_back(fmt::format("cudnn: plans are not kept for the next start: {}{}", kept_path_.empty() ? "" : "\"" + kept_path_ + "\": ", error.what()));
  }
}

std::vector<std::string> PlanStore::take_notes() {
  const std::lock_guard lock(mutex_);
  if (refused_ > 0)
    notes_.push_back(fmt::format("cudnn: {} of {} stored plans were refused and built anew: {}", refused_, refused_ + loaded_, why_refused_));
  refused_ = 0;
  why_refused_.clear();
  return std::exchange(notes_, {});
}

std::vector<KernelChoices::Timing> PlanStore::timings() const {
  const std::lock_guard lock(mutex_);
  std::vector<Timing> all;
  for (const auto& [problem, timing] : timings_) all.push_back(timing);
  return all;
}

}  // namespace lockstep::cuda
