#include "distributed/thread_group.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "distributed/rank_list.h"

namespace lockstep {

void ThreadJob::fail_all(const std::string& why) {
  const std::lock_guard lock(mutex);
  if (failure.empty()) failure = why;
  changed.notify_all();
}

std::string ThreadGroup::who_waits(const char* what) const {
  std::vector<int> here, ended, outside;
  std::string text, elsewhere;
  for (std::size_t r = 0; r < posts.size(); ++r) {
    const int rank = static_cast<int>(r);
    if (!posts[r].what)
      (left_[r] ? ended : outside).push_back(rank);
    else if (std::string(posts[r].what) == what)
      here.push_back(rank);
    else
      elsewhere += fmt::format("; rank {} is in \"{}\"", rank, posts[r].what);
  }
  text = fmt::format("{} in \"{}\"", rank_list(here), what) + elsewhere;
  if (!outside.empty()) text += fmt::format("; {} did not come", rank_list(outside));
  if (!ended.empty()) text += fmt::format("; {} ended", rank_list(ended));
  return text;
}

void ThreadGroup::meet(int rank, const char* what) {
  std::unique_lock lock(job->mutex);
  const auto stop = [&](const std::string& why) {
    if (job->failure.empty()) job->failure = why;
    job->changed.notify_all();
    throw Error(ErrorKind::internal, job->failure);
  };
  if (!job->failure.empty()) stop("");
  posts[static_cast<std::size_t>(rank)].what = what;
  for (const bool ended : left_)
    if (ended) stop("threads: waits in vain: " + who_waits(what));
  const std::uint64_t round = round_;
  if (++arrived_ == static_cast<int>(posts.size())) {
    for (const Post& post : posts)
      if (std::string(post.what) != what) stop("threads: the ranks call different collectives: " + who_waits(what));
    arrived_ = 0;
    ++round_;
    for (Post& post : posts) post.what = nullptr;
    job->changed.notify_all();
    return;
  }
  const bool in_time = job->changed.wait_for(lock, job->limit, [&] { return round_ != round || !job->failure.empty(); });
  if (round_ != round) return;
  if (!in_time) stop(fmt::format("threads: waited for {} ms: {}", job->limit.count(), who_waits(what)));
  stop("");
}

void ThreadGroup::leave(int rank) {
  const std::lock_guard lock(job->mutex);
  left_[static_cast<std::size_t>(rank)] = true;
  for (const Post& post : posts)
    if (post.what && job->failure.empty()) job->failure = "threads: waits in vain: " + who_waits(post.what);
  if (!job->failure.empty()) job->changed.notify_all();
}

}  // namespace lockstep
