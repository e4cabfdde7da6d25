#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/model/graph.h"
#include "core/train/loss_scaler.h"
#include "core/train/program.h"
#include "core/train/training_step.h"
#include "distributed/communicator.h"
#include "tests/support/synthetic_source.h"

namespace lockstep::test {

/// A short training of a graph on made-up samples, without run files: what the executor's tests compare.
struct SmallTraining {
  std::function<Graph(Dtype)> graph;  ///< given the dtype of activations
  std::int64_t global_batch = 13;
  int lanes = 8;
  std::int64_t samples = 30;
  int steps = 5;
  int threads = 1;
  RunMode mode = RunMode::exact;
  Precision precision = Precision::f32;
  double learning_rate = 0.05;
  LossScaling loss_scaling;
  std::function<void(ParameterStore&)> prepare;  ///< called before the first step
  /// Plug-ins in TOML: `{ sgd = "nesterov", weight_decay = 1e-3 }`. No clipping where `clip` is empty.
  std::string optimizer = "{ sgd = \"nesterov\", weight_decay = 1e-3 }", schedule = "{ constant = true }", clip;
  SyntheticSource::Element element;  ///< the samples; random ones where empty
  bool record = true;  ///< steps that repeat are recorded, where the device can
  std::function<void(const Profile&)> profile;  ///< called after the last step with what was profiled; not where empty
  /// What a rank computes with, given its threads; the CPU where empty.
  std::function<std::unique_ptr<Backend>(int threads)> backend;
};

struct SmallResult {
  std::string digest;
  std::vector<double> losses, gradient_norms, loss_scales;
  std::vector<bool> updated;  ///< by step
  std::vector<float> parameters;
  std::vector<float> gradients;  ///< of the last step
  std::map<std::string, double> metrics;
  int recordings = 0;  ///< of steps
  std::map<std::string, std::vector<float>> tensors;   ///< parameters and run-scope states by name
  std::map<std::int64_t, std::vector<float>> outputs;  ///< the trained model's f32 outputs by sample; of this rank's rows in `train`
};

/// On the ranks of a communicator; every rank returns the same.
SmallResult train(const SmallTraining& training, Communicator& ranks);
/// On ranks that are threads; the result of rank 0, with the outputs of all.
SmallResult train_on(int ranks, const SmallTraining& training);

/// The CPU's kernels in the order of a wide device: instruction by instruction, in host memory.
std::unique_ptr<Backend> cpu_by_instruction(int threads);

/// conv, norm, relu, a residual with a norm, dropout, global average pool, dense, cross-entropy, accuracy.
Graph small_residual_network(Dtype dtype);

}  // namespace lockstep::test
