#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/backend/backend.h"
#include "core/model/layer.h"
#include "tests/support/device_twin.h"

namespace lockstep::test {

/// A plug-in in run-file notation: `make_from<Layer>({{"conv2d", Value::integer(4)}, {"size", Value::integer(3)}})`.
template <class T>
std::unique_ptr<T> make_from(const Value::Table& options) {
  Value table;
  for (const auto& [key, value] : options) table.set(key, value);
  return make_plug_in<T>(table);
}
/// A plug-in without options: `make_from<Layer>("relu")`.
template <class T>
std::unique_ptr<T> make_from(const char* name) {
  return make_plug_in<T>(Value::text(name));
}

/// Runs the phases of one layer, loss or metric straight from its LayerSpec, without the planner. Float operands start as
/// random numbers in [-1, 1) (integers in [0, integer_limit)), parameters too; all are seen as doubles, which hold every
/// value exactly. The kernels are the CPU's, or `backend`'s.
///
///   LayerCase c(make_from<Layer>("batch_norm"), {{{4, 4, 8}}});
///   c.rows = 6, c.lanes = 4;   // two rows a lane, the last lane is empty
///   c.set_input(0, {...});     // or leave the random ones
///   c.run_forward(), c.run_backward();
///   c.output(0), c.input_gradient(0), c.parameter_gradient(0), c.state(0), c.statistic(0) ...
///   c.check_all();             // or one check at a time
///
/// Per-lane phases are called once a lane (empty ones too) or, where the kernel takes them, over several lanes; statistics and gradient slots are folded over the lanes,
/// packed parameters and unpacked gradients are served. Every phase's buffers stand between guard bytes.
class LayerCase {
 public:
  LayerCase(std::unique_ptr<const Layer> layer, std::vector<TensorSpec> inputs, Backend* backend = nullptr);

  // Settings, read by the next run.
  std::int64_t rows = 6;
  int lanes = 2;
  std::int64_t rows_per_call = 0;                               ///< of a rows phase; 0: all
  int lanes_per_call = 0;                                       ///< of a per-lane phase whose kernel takes several; 0: all
  std::int64_t integer_limit = 3;                               ///< of random integer inputs
  std::int64_t first_row = 0;                                   ///< position of the first row in the global batch
  std::string name = "layer";                                   ///< the stable name that kernels see
  StepBlock step;                                               ///< batch_samples is set to `rows` by each run
  std::vector<std::pair<int, WriteMode>> input_gradient_modes;  ///< input, mode; overwrite by default, integers skip

  // Settings of the checks.
  double tolerance = 1e-2;       ///< of gradients, relative to the largest one of the operand
  double difference = 1e-2;      ///< step of the finite differences
  int probes = 40;               ///< elements of an operand that are probed, spread evenly
  double kinks = 0.1;            ///< share of the probes that may stand in a kink's window
  double bf16_tolerance = 3e-2;  ///< relative to the largest value of the operand
  std::vector<int> f32_inputs;   ///< inputs that stay f32 in the bf16 twin (targets, weights)

  const LayerSpec& spec() const { return spec_; }
  const std::vector<TensorSpec>& input_specs() const { return inputs_; }

  void set_input(int index, const std::vector<double>& values) { set(Role::input, index, values); }
  void set_parameter(int index, const std::vector<double>& values) { set(Role::parameter, index, values); }
  void set_state(int index, const std::vector<double>& values) { set(Role::state, index, values); }
  void set_output_gradient(int index, const std::vector<double>& values) { set(Role::output_gradient, index, values); }
  /// What accumulating phases add to.
  void set_input_gradient(int index, const std::vector<double>& values) { set(Role::input_gradient, index, values); }

  void run_forward();
  /// After a forward run.
  void run_backward();
  void run_evaluate();

  std::vector<double> input(int index) { return get(Role::input, index); }
  std::vector<double> parameter(int index) { return get(Role::parameter, index); }
  std::vector<double> output(int index) { return get(Role::output, index); }
  std::vector<double> saved(int index) { return get(Role::saved, index); }
  std::vector<double> state(int index) { return get(Role::state, index); }
  std::vector<double> output_gradient(int index) { return get(Role::output_gradient, index); }
  std::vector<double> input_gradient(int index) { return get(Role::input_gradient, index); }
  std::vector<double> parameter_gradient(int index) { return get(Role::parameter_gradient, index); }
  /// Where kernels of the last run noted bad content: 1 + the largest row, or 0.
  std::int64_t fault() const { return fault_; }
  /// The reduced total of a statistic's group.
  std::vector<double> statistic(int index, int group = 0) const;

  /// Central differences of sum(output * output_gradient), or of a loss's mean, against all gradients, f32.
  void check_gradients();
  /// accumulate adds where the phases say so, skip leaves the other results as they were.
  void check_write_modes();
  /// The same bits twice.
  void check_repeatable();
  /// Bits of a rows phase do not depend on the rows of a call, nor a lane's on the lanes of a call; splitting into lanes
  /// changes rounding alone.
  void check_rows_invariance();
  /// Results of the bf16 twin are near those in f32.
  void check_bf16();
  void check_all();
  /// Outputs, states, gradients and statistics by name, as the last runs left them.
  std::map<std::string, std::vector<double>> results();
  /// Fresh states, forward, backward where there is one.
  void run_both();

 private:
  using Key = std::pair<Role, int>;
  struct Statistic {
    std::vector<double> lanes, totals;  ///< [lanes][size], [groups][size]
    int group_lanes = 0;
    bool reduced = false;
  };
  struct Bound {
    std::unique_ptr<Kernel> kernel;
    OpSpec spec;
    std::vector<Guarded> packed;                  ///< by read
    std::vector<std::unique_ptr<Guarded>> slots;  ///< by write: gradient slots or statistics of the lanes of one call
    std::vector<std::int64_t> strides;            ///< by write: bytes from lane to lane in it
    std::vector<std::size_t> slot_bytes;          ///< by write: of one lane
    int lanes = 1;                                ///< the most of one call
    std::vector<std::vector<float>> sums;         ///< by write: slots folded
    Guarded workspace;
  };
  struct Rows {
    std::int64_t first, last;
    int lane, lanes = 1;
  };

  void prepare();
  TensorSpec spec_of(Role role, int index) const;
  bool per_sample(Role role, int index) const;
  Guarded& buffer(Role role, int index);
  void fill(Role role, int index, std::uint64_t stream);
  void set(Role role, int index, const std::vector<double>& values);
  std::vector<double> get(Role role, int index);
  WriteMode mode_of(const Operand& operand) const;
  void poison(Role role, std::size_t count);

  void run(const std::vector<Phase>& phases);
  bool wanted(const Phase& phase) const;
  Bound bind(const Phase& phase);
  std::vector<Rows> calls(const Phase& phase, const Bound& bound) const;
  /// The first lane behind `lane` whose statistics are others than its.
  int group_end(const Phase& phase, int lane) const;
  int lanes_at_once(const Phase& phase, const Kernel& kernel) const;
  std::int64_t lane_rows() const { return (rows + lanes - 1) / lanes; }
  void call(const Phase& phase, Bound& bound, const Rows& part);
  void gather(const Phase& phase, Bound& bound, const Rows& part);
  void finish(const Phase& phase, Bound& bound);
  void unpack(const Kernel& kernel, int write, std::vector<float>& sum, const Guarded& plain);
  void reduce(const Phase& phase);
  const void* read_pointer(const Operand& operand, const Rows& part, PhaseKind kind, const Guarded& packed);

  double objective();
  void check_operand(Role role, int index, Role gradient_role);
  void restore_states();
  void expect_same(const std::map<std::string, std::vector<double>>& expected, double relative, const char* what);

  const Layer& layer() const { return twin_of_ ? *twin_of_ : *layer_; }
  std::unique_ptr<const Layer> layer_;
  const Layer* twin_of_ = nullptr;  ///< not owned: the bf16 twin borrows its layer
  LayerCase(const Layer& twin_of, std::vector<TensorSpec> inputs, Backend* backend);

  std::vector<TensorSpec> inputs_;
  LayerSpec spec_;
  Backend* backend_;
  std::int64_t prepared_rows_ = -1;
  std::map<Key, Guarded> buffers_;
  std::map<Key, std::vector<double>> given_;  ///< set before the buffers are there
  std::vector<Statistic> statistics_;
  DeviceTwin twin_;
  std::int64_t fault_ = 0;
};

}  // namespace lockstep::test
