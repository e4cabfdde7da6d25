#include "core/backend/cuda/vendor/convolution_plan.h"

#include <cudnn_frontend.h>

#include <algorithm>
#include <exception>
#include <mutex>

#include "core/base/error.h"

namespace lockstep::cuda {

namespace {

namespace fe = cudnn_frontend;
using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;

enum Uid : std::int64_t { kSource = 1, kWeights = 2, kDestination = 3, kBias = 4 };

/// The frontend's messages may have several lines; ours have one.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

[[noreturn]] void refuse(std::string_view what, const std::string& text) { fail(ErrorKind::io, "cuda: cudnn: {}: {}", what, one_line(text)); }

void check(fe::error_t status, std::string_view what) {
  if (status.is_bad()) refuse(what, status.get_message());
}

/// The frontend reports by value, by its own exception and by those of its JSON library: all become ours.
template <class Act>
auto guarded(std::string_view what, const Act& act) {
  try {
    return act();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    refuse(what, error.what());
  }
}

fe::DataType_t type_of(Dtype dtype) {
  if (dtype == Dtype::f32) return fe::DataType_t::FLOAT;
  if (dtype == Dtype::bf16) return fe::DataType_t::BFLOAT16;
  require(dtype == Dtype::f16, "cuda: cudnn: expected f32, bf16 or f16, got {}", name_of(dtype));
  return fe::DataType_t::HALF;
}

/// Dimensions in cuDNN's order n, c, h, w; strides of n, h, w, c.
fe::graph::Tensor_attributes channels_last(Uid uid, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w, fe::DataType_t type) {
  fe::graph::Tensor_attributes tensor;
  tensor.set_uid(uid).set_dim({n, c, h, w}).set_stride({h * w * c, 1, w * c, c}).set_data_type(type);
  return tensor;
}

/// A graph whose engine configurations can be made from raw knobs, which the frontend's own names do not cover, and whose
/// notes can be read.
class Graph : public fe::graph::Graph {
 public:
  /// Posed and lowered for the target.
  Graph(const PlanTarget& target, const ConvolutionProblem& problem, std::int64_t rows) {
    aim(*this, target);
    set_io_data_type(type_of(problem.dtype)).set_intermediate_data_type(fe::DataType_t::FLOAT).set_compute_data_type(fe::DataType_t::FLOAT);
    // The program owns plans longer than the graphs that it captures.
    set_cuda_graph_retention(fe::CudaGraphRetention_t::NONE);
    pose(problem, rows);
    check(validate(), problem.text());
    check(build_operation_graph(target.handle), problem.text());
  }
  /// For a plan that is loaded.
  explicit Graph(const PlanTarget& target) {
    aim(*this, target);
    set_cuda_graph_retention(fe::CudaGraphRetention_t::NONE);
  }

  /// Of the configuration that was enqueued, built or not.
  EngineFacts facts(const EngineChoice& choice) {
    const auto& numeric = plans.numeric_notes[0];
    const auto& behaviour = plans.behavior_notes[0];
    const auto has = [](const auto& notes, auto note) { return std::find(notes.begin(), notes.end(), note) != notes.end(); };
    EngineFacts facts{.choice = choice};
    facts.tensor_cores = has(numeric, fe::NumericalNote_t::TENSOR_CORE);
    facts.nondeterministic = has(numeric, fe::NumericalNote_t::NONDETERMINISTIC);
    facts.reduced_precision = has(numeric, fe::NumericalNote_t::REDUCED_PRECISION_REDUCTION);
    facts.transformed = has(numeric, fe::NumericalNote_t::FFT) || has(numeric, fe::NumericalNote_t::WINOGRAD);
    facts.narrows_inputs = has(numeric, fe::NumericalNote_t::DOWN_CONVERT_INPUTS);
    facts.runtime_compiled = has(behaviour, fe::BehaviorNote_t::RUNTIME_COMPILATION);
    std::int64_t bytes = 0;
    check(plans.execution_plans[0] ? get_workspace_size_plan_at_index(0, bytes) : fe::detail::get_workspace_size(config_, bytes), "workspace");
    facts.workspace_bytes = static_cast<std::size_t>(bytes);
    return facts;
  }

  /// Sets the one configuration of this graph; false where the engine does not serve it.
  bool choose(const EngineChoice& choice) {
    fe::detail::backend_descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    if (fe::detail::create_engine(engine, choice.engine, operation_graph->get_raw_desc(), device_properties).is_bad()) return false;
    std::vector<fe::detail::backend_descriptor> knobs;
    for (const auto& [type, value] : choice.knobs) {
      fe::detail::backend_descriptor knob(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
      const auto raw = static_cast<cudnnBackendKnobType_t>(type);
      const auto set = [&](cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t kind, const void* at) {
        return fe::detail::set_attribute(knob.get_ptr(), name, kind, 1, at) == CUDNN_STATUS_SUCCESS;
      };
      if (!set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, &raw) ||
          !set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, &value) || knob.finalize().is_bad())
        return false;
      knobs.push_back(std::move(knob));
    }
    config_ = fe::make_shared_backend_pointer(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (fe::detail::create_engine_config(config_, engine, knobs).is_bad()) return false;
    plans.set_tag(operation_graph->getTag());
    plans.enqueue_engine_configs({config_});
    return plans.query_properties().is_good() && plans.check_support_at_index(0).is_good();
  }

  /// The choices of cuDNN's own ranking, by index.
  std::vector<EngineChoice> rank(const std::vector<fe::HeurMode_t>& modes) {
    std::vector<EngineChoice> choices;
    fe::EngineConfigList list;
    if (fe::detail::query_cudnn_heuristics_impl(operation_graph, list, modes, -1, device_properties).is_bad()) return choices;
    for (const auto& config : list) {
      EngineChoice choice;
      std::vector<std::pair<cudnnBackendKnobType_t, std::int64_t>> knobs;
      if (fe::detail::get_engine_id_and_knobs(config, choice.engine, knobs) != CUDNN_STATUS_SUCCESS) continue;
      for (const auto& [type, value] : knobs) choice.knobs[static_cast<int>(type)] = value;
      if (std::find(choices.begin(), choices.end(), choice) == choices.end()) choices.push_back(std::move(choice));
    }
    return choices;
  }

 private:
  static void aim(Graph& graph, const PlanTarget& target) {
    if (target.handle) return;
    require(!target.properties.empty(), "cuda: cudnn: neither a device nor its properties");
    auto properties = std::make_shared<fe::DeviceProperties>();
    check(properties->deserialize({target.properties.begin(), target.properties.end()}), "device properties");
    graph.set_device_properties(properties).set_sm_version(target.sm);
  }

  void pose(const ConvolutionProblem& problem, std::int64_t rows) {
    const auto& g = problem.geometry;
    const auto type = type_of(problem.dtype);
    const auto source = channels_last(kSource, rows, g.in, g.input[0], g.input[1], type);
    const auto weights = channels_last(kWeights, g.out, g.in / g.groups, g.kernel[0], g.kernel[1], type);
    const auto destination = channels_last(kDestination, rows, g.out, g.output[0], g.output[1], type);
    const auto shaped = [&](auto attributes) {
      attributes.set_pre_padding({g.pad_low[0], g.pad_low[1]})
          .set_post_padding({g.pad_high[0], g.pad_high[1]})
          .set_stride({g.stride[0], g.stride[1]})
          .set_dilation({1, 1});
      return attributes;
    };
    const auto finish = [](const Tensor& made, const fe::graph::Tensor_attributes& as, fe::DataType_t as_type) {
      made->set_output(true).set_uid(as.get_uid()).set_dim(as.get_dim()).set_stride(as.get_stride()).set_data_type(as_type);
    };
    if (problem.pass == ConvolutionPass::forward) {
      Tensor made = conv_fprop(tensor(source), tensor(weights), shaped(fe::graph::Conv_fprop_attributes()));
      if (g.bias) {
        made->set_dim(destination.get_dim()).set_stride(destination.get_stride());
        const Tensor bias = tensor(channels_last(kBias, 1, g.out, 1, 1, type));
        made = pointwise(made, bias, fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::ADD));
      }
      finish(made, destination, type);
    } else if (problem.pass == ConvolutionPass::backward_data) {
      finish(conv_dgrad(tensor(destination), tensor(weights), shaped(fe::graph::Conv_dgrad_attributes())), source, type);
    } else {
      Tensor made = conv_wgrad(tensor(destination), tensor(source), shaped(fe::graph::Conv_wgrad_attributes()));
      if (problem.wide) {
        made->set_dim(weights.get_dim()).set_stride(weights.get_stride());
        made = pointwise(made, fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::IDENTITY));
      }
      finish(made, weights, problem.wide ? fe::DataType_t::FLOAT : type);
    }
  }

  fe::ManagedOpaqueDescriptor config_;
};

bool keeps_precision(const EngineFacts& facts, const ConvolutionProblem& problem) {
  const bool true_f32 = problem.dtype == Dtype::f32 && !problem.tf32;
  return !facts.nondeterministic && !facts.reduced_precision && !facts.narrows_inputs && !facts.transformed && !(true_f32 && facts.tensor_cores);
}

}  // namespace

struct ConvolutionPlan::Impl {
  Graph graph;
  EngineFacts facts;
};

ConvolutionPlan::ConvolutionPlan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ConvolutionPlan::~ConvolutionPlan() = default;

std::optional<EngineFacts> ConvolutionPlan::usable(const PlanTarget& target, const ConvolutionProblem& problem,
                                                   const std::vector<std::int64_t>& rows, std::size_t workspace_limit,
                                                   const EngineChoice& choice) {
  return guarded(problem.text(), [&]() -> std::optional<EngineFacts> {
    std::optional<EngineFacts> first;
    for (const std::int64_t n : rows) {
      if (first && n == rows.front()) continue;
      Graph graph(target, problem, n);
      if (!graph.choose(choice)) return {};
      const EngineFacts facts = graph.facts(choice);
      if (!keeps_precision(facts, problem) || facts.workspace_bytes > workspace_limit) return {};
      if (!first) first = facts;
    }
    return first;
  });
}

std::vector<EngineFacts> ConvolutionPlan::candidates(const PlanTarget& target, const ConvolutionProblem& problem,
                                                     const std::vector<std::int64_t>& rows, std::size_t workspace_limit, std::size_t most) {
  return guarded(problem.text(), [&] {
    std::vector<EngineFacts> found;
    Graph ranked(target, problem, rows.front());
    for (const auto& modes : {std::vector{fe::HeurMode_t::A, fe::HeurMode_t::B}, std::vector{fe::HeurMode_t::FALLBACK}}) {
      for (const EngineChoice& choice : ranked.rank(modes)) {
        if (found.size() == most) return found;
        if (auto facts = usable(target, problem, rows, workspace_limit, choice)) found.push_back(std::move(*facts));
      }
      if (!found.empty()) break;
    }
    return found;
  });
}

std::unique_ptr<ConvolutionPlan> ConvolutionPlan::build(const PlanTarget& target, const ConvolutionProblem& problem, std::int64_t rows,
                                                        const EngineChoice& choice) {
  return guarded(problem.text(), [&]() -> std::unique_ptr<ConvolutionPlan> {
    auto impl = std::unique_ptr<Impl>(new Impl{Graph(target, problem, rows), {}});
    if (!impl->graph.choose(choice) || impl->graph.build_plan_at_index(0).is_bad()) return nullptr;
    impl->facts = impl->graph.facts(choice);
    return std::unique_ptr<ConvolutionPlan>(new ConvolutionPlan(std::move(impl)));
  });
}

std::unique_ptr<ConvolutionPlan> ConvolutionPlan::load(const PlanTarget& target, const EngineFacts& facts,
                                                       const std::vector<std::uint8_t>& bytes, std::string& why) {
  try {
    auto impl = std::unique_ptr<Impl>(new Impl{Graph(target), facts});
    auto status =
        target.handle ? impl->graph.deserialize(target.handle, bytes, true, false) : impl->graph.deserialize(bytes, true);
    if (status.is_good()) return std::unique_ptr<ConvolutionPlan>(new ConvolutionPlan(std::move(impl)));
    why = one_line(status.get_message());
  } catch (const std::exception& error) {
    why = one_line(error.what());  // the JSON library throws at damaged bytes
  }
  return nullptr;
}

const EngineFacts& ConvolutionPlan::facts() const { return impl_->facts; }

std::vector<std::uint8_t> ConvolutionPlan::bytes() const {
  return guarded("serialize", [&] {
    std::vector<std::uint8_t> data;
    check(impl_->graph.serialize(data, false), "serialize");
    return data;
  });
}

void ConvolutionPlan::run(cudnnContext* handle, const ConvolutionPointers& at, std::byte* workspace) const {
  void* pointers[] = {at.source, at.weights, at.destination, at.bias};
  guarded("run", [&] {
    const auto status = impl_->graph.execute_plan_at_index(handle, pointers, at.bias ? 4 : 3, workspace, 0);
    if (status.is_bad()) check(status, impl_->facts.name());
  });
}

}  // namespace lockstep::cuda
