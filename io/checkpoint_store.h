#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/checkpoint.h"
#include "io/file_calls.h"

namespace lockstep {

/// Which checkpoints of a run stay.
struct CheckpointPolicy {
  std::int64_t keep = 3;         ///< the newest ones, at least 1
  std::string best;              ///< a metric's name; the best checkpoint by it stays too. Empty for none
  bool larger_is_better = true;
};

struct FoundCheckpoint {
  std::string path;
  Checkpoint checkpoint;
  std::string note;  ///< one line where newer ones did not verify, else empty
};

/// A directory of `step-00000200.h5` files, with `latest` (the name of the newest, a text file) and `best` (name and
/// metric). Only the rank that writes files has one; other programs may read the directory at any time. One thread.
class CheckpointStore {
 public:
  /// Temporaries of dead writers are removed. The directory is made by the first save.
  explicit CheckpointStore(std::string directory, CheckpointPolicy policy = {}, FileCalls calls = FileCalls::system());

  /// Commits a checkpoint, then `latest`, then `best`, and only then deletes what the policy does not keep: files of
  /// our pattern with earlier steps, never the one just saved and verified nor the best. Returns the path. An `io`
  /// error leaves all older checkpoints in place.
  std::string save(const CheckpointMeta& meta, const Snapshot& state);

  /// The newest that verifies, read; none where there is no checkpoint. Where there are some and none verifies:
  /// `content` error with every reason.
  std::optional<FoundCheckpoint> find_latest() const;
  /// Does what a kill between a checkpoint and `best` left undone. For the one that goes on from `found`.
  void finish_save(const FoundCheckpoint& found);
  /// The best so far by the policy's metric, or by whatever it was where the policy names none, if its file is there.
  std::optional<std::string> best_path() const;
  /// Every checkpoint's path by step, unverified.
  std::map<std::int64_t, std::string> list() const;

  const std::string& directory() const { return directory_; }
  static std::string file_name(std::int64_t step);

 private:
  struct Best {
    std::string name;
    double value = 0;
  };
  std::string path_of(std::string_view name) const;
  std::optional<Best> read_best() const;
  void update_best(const CheckpointMeta& meta, const std::string& name);
  void prune(std::int64_t saved_step);

  std::string directory_;
  CheckpointPolicy policy_;
  FileCalls calls_;
};

}  // namespace lockstep
