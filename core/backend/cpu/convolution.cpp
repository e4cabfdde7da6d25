#include "core/backend/cpu/convolution.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/backend/cpu/add_to.h"
#include "core/backend/cpu/thread_pool.h"

namespace lockstep::cpu {

using dnnl::memory;
using Type = memory::data_type;

/// A primitive before it is wrapped.
struct Convolution::Made {
  dnnl::primitive primitive;
  memory::desc source, weights, bias, destination, scratch;
  std::string implementation;
  bool usable() const { return primitive && implementation.rfind("ref", 0) != 0; }
};

namespace {

constexpr std::size_t kAlignment = 64;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

Type type_of(Dtype dtype) { return dtype == Dtype::f32 ? Type::f32 : Type::bf16; }

memory::desc activations(const ConvolutionGeometry& g, std::int64_t channels, const ConvolutionGeometry::Pair& size, std::int64_t rows,
                         Type type) {
  const memory::dims dims = g.rows_along_width ? memory::dims{1, channels, 1, rows} : memory::dims{rows, channels, size[0], size[1]};
  return memory::desc(dims, type, memory::format_tag::nhwc);
}

memory::dims weight_dims(const ConvolutionGeometry& g) {
  if (g.groups == 1) return {g.out, g.in, g.kernel[0], g.kernel[1]};
  return {g.groups, g.out / g.groups, g.in / g.groups, g.kernel[0], g.kernel[1]};
}

memory::dims dims_of(const ConvolutionGeometry::Pair& pair) { return {pair[0], pair[1]}; }

/// Below that, oneDNN's bf16 kernels emulate: slower than f32, and a row's bits depend on the rows of its call.
bool multiplies_bf16() {
  const auto level = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & level) == level;
}

template <class Description>
std::string text_of(const Description& made) {
  return made ? made.impl_info_str() : "none";
}

}  // namespace

memory::desc Convolution::plain_weights() const {
  const auto tag = geometry_.groups == 1 ? memory::format_tag::oihw : memory::format_tag::goihw;
  return memory::desc(weight_dims(geometry_), Type::f32, tag);
}

Convolution::Made Convolution::make(std::int64_t rows, Type type, const memory::desc& weights) const {
  using dnnl::convolution_backward_data;
  using dnnl::convolution_backward_weights;
  using dnnl::convolution_forward;
  const auto& g = geometry_;
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;
  const auto stride = dims_of(g.stride), low = dims_of(g.pad_low), high = dims_of(g.pad_high);
  const memory::desc source = activations(g, g.in, g.input, rows, type), destination = activations(g, g.out, g.output, rows, type);
  const memory::desc any(weight_dims(g), type, memory::format_tag::any);
  const memory::desc bias = g.bias ? memory::desc({g.out}, Type::f32, memory::format_tag::a) : memory::desc();
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const auto& engine = onednn_engine();

  const auto forward_of = [&](const memory::desc& w, const memory::desc& b) {
    const convolution_forward::desc desc(dnnl::prop_kind::forward_training, algorithm, source, w, b, destination, stride, low, high);
    return convolution_forward::primitive_desc(desc, attributes, engine, true);
  };
  if (pass_ == ConvolutionPass::forward) {
    const auto made = forward_of(weights, bias);
    if (!made) return {};
    return {convolution_forward(made), source, made.weights_desc(), bias, destination, made.scratchpad_desc(), text_of(made)};
  }
  const auto hint = forward_of(any, memory::desc());
  if (!hint) return {};
  if (pass_ == ConvolutionPass::backward_data) {
    const convolution_backward_data::desc desc(algorithm, source, weights, destination, stride, low, high);
    const convolution_backward_data::primitive_desc made(desc, attributes, engine, hint, true);
    if (!made) return {};
    return {convolution_backward_data(made), source, made.weights_desc(), {}, destination, made.scratchpad_desc(), text_of(made)};
  }
  const convolution_backward_weights::desc desc(algorithm, source, weights, bias, destination, stride, low, high);
  const convolution_backward_weights::primitive_desc made(desc, attributes, engine, hint, true);
  if (!made) return {};
  return {convolution_backward_weights(made), source, made.diff_weights_desc(), bias, destination, made.scratchpad_desc(), text_of(made)};
}

Convolution::Convolution(const OpSpec& spec, const ConvolutionGeometry& geometry, ConvolutionPass pass)
    : where_(spec.layer + ": " + spec.op),
      geometry_(geometry),
      pass_(pass),
      lane_rows_(std::max<std::int64_t>(1, spec.lane_rows)),
      max_rows_(std::max(lane_rows_, spec.max_rows)),
      dtype_(spec.reads[0].spec.dtype),
      computed_(dtype_),
      accumulate_(pass == ConvolutionPass::backward_data && spec.writes[0].mode == WriteMode::accumulate),
      source_{.full = geometry.input, .kept = geometry.input, .channels = geometry.in} {
  prepare_thread();
  if (dtype_ != Dtype::f32 && dtype_ != Dtype::bf16)
    fail(ErrorKind::run_file, "{}: expected f32 or bf16 activations, got {}", where_, name_of(dtype_));
  guard_onednn(where_, [&] {
    const Made first = choose();
    weights_ = first.weights;
    implementation_ =
        "onednn " + first.implementation + (computed_ != dtype_ ? " (f32 for bf16)" : "") + (compacted_ ? " (compacted)" : "");
    reorder_ = pass == ConvolutionPass::backward_weights ? Reorder(weights_, plain_weights()) : Reorder(plain_weights(), weights_);
  });
  scratch_bytes_ = executable(lane_rows_).scratch_bytes();
}

/// Settles the computing type and whether the source is compacted.
Convolution::Made Convolution::choose() {
  const auto attempt = [&] {
    const Type weights = pass_ == ConvolutionPass::backward_weights ? Type::f32 : type_of(computed_);
    return make(lane_rows_, type_of(computed_), memory::desc(weight_dims(geometry_), weights, memory::format_tag::any));
  };
  if (dtype_ == Dtype::bf16 && !multiplies_bf16()) computed_ = Dtype::f32;
  Made made = attempt();
  if (!made.usable() && computed_ == Dtype::bf16) {
    computed_ = Dtype::f32;
    made = attempt();
  }
  using Pair = ConvolutionGeometry::Pair;
  const bool strided_point = geometry_.kernel == Pair{1, 1} && geometry_.stride != Pair{1, 1};
  if (strided_point && (computed_ != dtype_ || made.implementation.find("1x1") == std::string::npos)) {
    compacted_ = true;
    source_.kept = geometry_.output;
    source_.stride = geometry_.stride;
    geometry_.input = geometry_.output;
    geometry_.stride = {1, 1};
    made = attempt();
  }
  require(static_cast<bool>(made.primitive), "{}: oneDNN has no primitive", where_);
  return made;
}

const Executable& Convolution::executable(std::int64_t rows) const {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Executable>& entry = executables_[rows];
  if (entry) return *entry;
  prepare_thread();
  guard_onednn(where_, [&] {
    Made made = make(rows, type_of(computed_), weights_);
    require(static_cast<bool>(made.primitive), "{}: oneDNN has no primitive for {} rows", where_, rows);
    std::vector<Executable::Argument> arguments;
    if (pass_ == ConvolutionPass::forward)
      arguments = {{DNNL_ARG_SRC, made.source}, {DNNL_ARG_WEIGHTS, made.weights}, {DNNL_ARG_DST, made.destination}};
    else if (pass_ == ConvolutionPass::backward_data)
      arguments = {{DNNL_ARG_DIFF_SRC, made.source}, {DNNL_ARG_WEIGHTS, made.weights}, {DNNL_ARG_DIFF_DST, made.destination}};
    else
      arguments = {{DNNL_ARG_SRC, made.source}, {DNNL_ARG_DIFF_WEIGHTS, made.weights}, {DNNL_ARG_DIFF_DST, made.destination}};
    if (geometry_.bias) arguments.push_back({pass_ == ConvolutionPass::forward ? DNNL_ARG_BIAS : DNNL_ARG_DIFF_BIAS, made.bias});
    entry = std::make_unique<Executable>(std::move(made.primitive), std::move(arguments), made.scratch);
  });
  return *entry;
}

std::size_t Convolution::staged_bytes(bool source, std::int64_t rows) const {
  if (computed_ == dtype_ && !(source && compacted_)) return 0;
  const auto& g = geometry_;
  const std::int64_t elements = source ? g.in * g.input[0] * g.input[1] : g.out * g.output[0] * g.output[1];
  return aligned(static_cast<std::size_t>(rows * elements) * size_of(computed_));
}

std::size_t Convolution::workspace_bytes() const {
  return aligned(scratch_bytes_) + staged_bytes(true, lane_rows_) + staged_bytes(false, lane_rows_) +
         (accumulate_ ? aligned(source_bytes(lane_rows_)) : 0);
}

std::size_t Convolution::source_bytes(std::int64_t rows) const {
  return static_cast<std::size_t>(rows * geometry_.in * source_.full[0] * source_.full[1]) * size_of(dtype_);
}

/// A lane's operands, whichever of them the pass writes.
struct Convolution::Operands {
  void *source, *weights, *destination, *bias;
};

void Convolution::run(const KernelCall& call) const {
  const auto& g = geometry_;
  const bool to_weights = pass_ == ConvolutionPass::backward_weights, to_source = pass_ == ConvolutionPass::backward_data;
  const std::int64_t most = to_weights ? lane_rows_ : max_rows_;
  require(call.rows <= most, "{}: {} rows in a call of at most {}", where_, call.rows, most);
  if (to_weights && call.rows == 0) {
    std::memset(call.writes[0], 0, weights_.get_size());
    if (g.bias) std::memset(call.writes[1], 0, static_cast<std::size_t>(g.out) * sizeof(float));
  }
  const auto read = [&](int index) { return const_cast<void*>(call.reads[static_cast<std::size_t>(index)]); };
  Operands at{.source = to_source ? call.writes[0] : read(0),
              .weights = to_weights ? call.writes[0] : read(1),
              .destination = to_source ? read(0) : (to_weights ? read(1) : call.writes[0]),
              .bias = !g.bias ? nullptr : (to_weights ? call.writes[1] : read(2))};
  const std::size_t destination_bytes = static_cast<std::size_t>(lane_rows_ * g.out * g.output[0] * g.output[1]) * size_of(dtype_);
  for (std::int64_t first = 0; first < call.rows; first += lane_rows_) {
    const std::int64_t rows = std::min(lane_rows_, call.rows - first);
    if (accumulate_) {
      Operands part = at;
      part.source = call.workspace + workspace_bytes() - aligned(source_bytes(lane_rows_));
      run_lane(part, rows, call.workspace);
      const auto elements = static_cast<std::int64_t>(source_bytes(rows) / size_of(dtype_));
      if (dtype_ == Dtype::f32)
        add_to(static_cast<const float*>(part.source), static_cast<float*>(at.source), elements);
      else
        add_to(static_cast<const BFloat16*>(part.source), static_cast<BFloat16*>(at.source), elements);
    } else {
      run_lane(at, rows, call.workspace);
    }
    at.source = static_cast<std::byte*>(at.source) + source_bytes(lane_rows_);
    at.destination = static_cast<std::byte*>(at.destination) + destination_bytes;
  }
}

void Convolution::run_lane(const Operands& at, std::int64_t rows, std::byte* workspace) const {
  const auto& g = geometry_;
  const std::size_t source_bytes = staged_bytes(true, rows), destination_bytes = staged_bytes(false, rows);
  std::byte* const stage = workspace + aligned(scratch_bytes_);
  void* const source = source_bytes ? stage : at.source;
  void* const destination = destination_bytes ? stage + source_bytes : at.destination;
  PixelGrid pixels = source_;
  pixels.rows = rows;
  const PixelGrid whole{.channels = rows * g.out * g.output[0] * g.output[1]};
  const bool writes_source = pass_ == ConvolutionPass::backward_data, writes_destination = pass_ == ConvolutionPass::forward;
  if (source_bytes && !writes_source) take_pixels(pixels, at.source, dtype_, source, computed_);
  if (destination_bytes && !writes_destination) take_pixels(whole, at.destination, dtype_, destination, computed_);

  const Executable& executable = this->executable(rows);
  std::byte* scratch = workspace;
  if (executable.scratch_bytes() > scratch_bytes_) {
    thread_local std::vector<std::byte> larger;
    larger.resize(std::max(larger.size(), executable.scratch_bytes()));
    scratch = larger.data();
  }
  void* const pointers[] = {source, at.weights, destination, at.bias};
  guard_onednn(where_, [&] { executable.run({pointers, g.bias ? 4u : 3u}, scratch); });

  if (source_bytes && writes_source) put_pixels(pixels, source, computed_, at.source, dtype_);
  if (destination_bytes && writes_destination) put_pixels(whole, destination, computed_, at.destination, dtype_);
}

std::size_t Convolution::packed_bytes(int read) const {
  return pass_ != ConvolutionPass::backward_weights && read == 1 ? weights_.get_size() : 0;
}

void Convolution::pack(int read, const float* plain, std::byte* packed, StreamView) const {
  require(packed_bytes(read) > 0, "{}: operand {} is not packed", where_, read);
  reorder_.run(plain, packed);
}

std::int64_t Convolution::slot_elements(int write) const {
  return pass_ == ConvolutionPass::backward_weights && write == 0 ? static_cast<std::int64_t>(weights_.get_size() / sizeof(float)) : 0;
}

void Convolution::unpack(int write, const float* slot, float* plain, StreamView) const {
  require(slot_elements(write) > 0, "{}: operand {} is not packed", where_, write);
  reorder_.run(slot, plain);
}

}  // namespace lockstep::cpu
