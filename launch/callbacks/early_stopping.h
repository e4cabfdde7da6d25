#pragma once

#include <cstdint>
#include <string>

#include "core/train/callback.h"

namespace lockstep {

/// Stops when a monitored metric has not got better by more than `min_delta` for `patience` epochs in a row after the
/// best one (Keras' rule: with patience 0 the first epoch without progress stops). A value that is not a number is no
/// progress. Every rank has one and decides alike, because metrics are reduced; its memory is part of the run state.
class EarlyStopping : public Callback {
 public:
  enum class Mode { automatic, least, most };
  struct Options {
    std::string monitor = "validation.loss";
    std::int64_t patience = 0;
    double min_delta = 0;
    /// `automatic`: a name that ends in "loss" or "error" wants the least, every other the most.
    Mode mode = Mode::automatic;
    /// Asks for the best weights when it stops, and at the end of the run, unless the last epoch was the best.
    bool restore_best = false;
  };

  explicit EarlyStopping(Options options);

  /// An epoch whose set was not evaluated does not count. `run_file` error that lists the known metrics where the set was, and the
  /// monitored one is not among them.
  void on_epoch_end(const EpochInfo& info, LoopRequest& request) override;
  /// A run that stopped early and is resumed stays where it is.
  void on_run_begin(LoopRequest& request) override;
  void visit(StateVisitor& visitor) override;

  double best() const { return best_; }
  /// The epoch of the best value, -1 before there is one.
  std::int64_t best_epoch() const { return best_epoch_; }

 private:
  Options options_;
  double best_ = 0;
  std::int64_t best_epoch_ = -1;
  std::int64_t waited_ = 0;
};

}  // namespace lockstep
