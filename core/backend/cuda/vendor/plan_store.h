#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/backend/cuda/vendor/plan_file.h"
#include "core/backend/kernel_choices.h"

namespace lockstep::cuda {

/// Which engine serves which problem on which GPU, and compiled plans, from four places in this order: what `prefer` or
/// `replace` brought, what this process made, the file that is kept on this machine, files that are carried beside the program. A
/// kept file is for one GPU model, driver and version of cuDNN; carried ones are for whichever driver. A plan may come from a
/// later place than its engine. What cannot be read, or is for another device, counts as empty. Thread-safe.
class PlanStore : public KernelChoices {
 public:
  struct Places {
    std::string kept;     ///< a folder, or a file that ends in ".json"; empty: nothing is kept
    std::string carried;  ///< a folder of such files; may be absent
    auto operator<=>(const Places&) const = default;
  };

  PlanStore(const Places& places, PlanDevice device);

  /// The engine that serves a problem, if it is known.
  std::optional<std::string> engine(const std::string& problem) const;
  /// A compiled plan's bytes; empty where they are damaged, none where there are none.
  std::optional<std::vector<std::uint8_t>> plan(const std::string& key) const;

  void put_engine(const std::string& problem, const std::string& engine, double microseconds = 0);
  void put_plan(const std::string& key, const std::vector<std::uint8_t>& bytes);
  /// A kernel goes by this engine for this problem.
  void use(const std::string& problem, const std::string& engine);
  /// How the trial of a stored plan ended; `why` in cuDNN's words where it was refused, else empty.
  void tried(const std::string& why);
  /// A time of `plan --tune`, and another layer that poses the same problem; false where that was not timed.
  void put_timing(const std::string& problem, Timing timing);
  bool add_timed_layer(const std::string& problem, const std::string& layer);

  const PlanDevice& device() const { return device_; }
  const std::string& kept_path() const { return kept_path_; }
  /// Plans that were taken as stored, and plans that had to be compiled.
  int loaded() const;
  int compiled() const;

  std::string known() const override;
  void replace(const std::string& known) override;
  void prefer(const std::string& known) override;
  std::string used() const override;
  std::string describe() const override;
  void keep() override;
  std::vector<std::string> take_notes() override;
  std::vector<Timing> timings() const override;

 private:
  PlanFile followed(const std::string& text) const;
  void write_kept() const;

  PlanDevice device_;
  std::string kept_path_;
  mutable std::mutex mutex_;
  PlanFile preferred_, made_, kept_, carried_;
  bool unkept_ = false;  ///< something was made since the last `keep`
  std::map<std::string, std::string> used_;
  int loaded_ = 0, compiled_ = 0, refused_ = 0;
  std::string why_refused_;
  std::vector<std::string> notes_;
  std::vector<std::pair<std::string, Timing>> timings_;  ///< by problem
};

}  // namespace lockstep::cuda
