#include "core/backend/cuda/vendor/convolution.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <numeric>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/vendor/cudnn.h"
#include "core/backend/cuda/vendor/engine_choice.h"
#include "core/backend/cuda/vendor_options.h"

namespace lockstep::cuda {

namespace {

constexpr std::size_t kAlignment = 256;        ///< of the device's memory
constexpr std::size_t kOperandAlignment = 16;  ///< that plans are promised

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

std::byte* aligned(std::byte* address) { return address + (kAlignment - reinterpret_cast<std::uintptr_t>(address) % kAlignment) % kAlignment; }

bool is_aligned(const void* address) { return reinterpret_cast<std::uintptr_t>(address) % kOperandAlignment == 0; }

}  // namespace

/// Workspace of a call that takes more than the usual ones.
struct Convolution::Extra {
  explicit Extra(std::size_t size) : bytes(size) { check(cudaMalloc(&memory, size), "cudaMalloc of a workspace"); }
  ~Extra() { cudaFree(memory); }
  void* memory = nullptr;
  std::size_t bytes;
};

Convolution::Convolution(const OpSpec& spec, const ConvolutionGeometry& geometry, ConvolutionPass pass)
    : where_(spec.layer + ": " + spec.op),
      problem_{.pass = pass, .geometry = geometry, .dtype = spec.reads[0].spec.dtype},
      lane_rows_(std::max<std::int64_t>(1, spec.lane_rows)),
      max_rows_(pass == ConvolutionPass::backward_weights ? lane_rows_ : std::max(lane_rows_, spec.max_rows)),
      piece_rows_(pass == ConvolutionPass::backward_weights ? lane_rows_ : std::min(max_rows_, kReferenceLanes * lane_rows_)),
      bias_(geometry.bias) {
  problem_.tf32 = problem_.dtype == Dtype::f32 && spec.attributes.has("tf32") && spec.attributes.integer("tf32") != 0;
  if (problem_.dtype != Dtype::f32 && problem_.dtype != Dtype::bf16 && problem_.dtype != Dtype::f16)
    fail(ErrorKind::run_file, "{}: expected f32, bf16 or f16 activations, got {}", where_, name_of(problem_.dtype));
  problem_.geometry.bias = bias_ && pass == ConvolutionPass::forward;
  const auto lane_bytes = static_cast<std::size_t>(std::gcd(source_bytes(lane_rows_), destination_bytes(lane_rows_)));
  staged_ = lane_bytes % kOperandAlignment != 0;
  choose();
  if (!vendor_options().compile) return;
  if (!plan_of(problem_, piece_rows_, facts_)) piece_rows_ = lane_rows_;
  for (const std::int64_t rows : {lane_rows_, piece_rows_}) {
    plan_bytes_ = std::max(plan_bytes_, plan(rows).facts().workspace_bytes);
    workspace_bytes_ = std::max(workspace_bytes_, parts(rows).end + aligned(plan_bytes_) + kAlignment);
  }
}

Convolution::~Convolution() = default;

void Convolution::choose() {
  const bool to_weights = problem_.pass == ConvolutionPass::backward_weights;
  const std::int64_t reference = to_weights ? lane_rows_ : kReferenceLanes * lane_rows_;
  problem_.wide = to_weights && problem_.dtype != Dtype::f32;
  auto found = choose_engine(problem_, reference, lane_rows_, piece_rows_, where_);
  if (!found && problem_.wide) {
    problem_.wide = false;
    found = choose_engine(problem_, reference, lane_rows_, piece_rows_, where_);
  }
  if (!found) fail(ErrorKind::run_file, "{}: cudnn has no deterministic engine for {}", where_, problem_.text());
  facts_ = *found;
}

std::string Convolution::implementation() const {
  constexpr std::string_view names[] = {"fprop", "dgrad", "wgrad"};
  return fmt::format("cudnn {} {}{}", names[static_cast<std::size_t>(problem_.pass)], facts_.name(), facts_.tensor_cores ? "" : " (no tensor cores)");
}

FilterShape Convolution::filters() const {
  const auto& g = problem_.geometry;
  return {.out = g.out, .in = g.in / g.groups, .taps = g.kernel[0] * g.kernel[1]};
}

std::size_t Convolution::source_bytes(std::int64_t rows) const {
  const auto& g = problem_.geometry;
  return static_cast<std::size_t>(rows * g.in * g.input[0] * g.input[1]) * size_of(problem_.dtype);
}

std::size_t Convolution::destination_bytes(std::int64_t rows) const {
  const auto& g = problem_.geometry;
  return static_cast<std::size_t>(rows * g.out * g.output[0] * g.output[1]) * size_of(problem_.dtype);
}

/// Behind one another: a gradient in the activations' type, partial sums of the bias gradient, copies of operands at
/// addresses that plans can use; the plan's own workspace comes last.
Convolution::Parts Convolution::parts(std::int64_t rows) const {
  const auto& g = problem_.geometry;
  const bool to_weights = problem_.pass == ConvolutionPass::backward_weights;
  Parts parts;
  const bool narrow = to_weights && problem_.dtype != Dtype::f32 && !problem_.wide;
  parts.sums = parts.gradient + (narrow ? aligned(static_cast<std::size_t>(g.weights()) * size_of(problem_.dtype)) : 0);
  parts.source = parts.sums + (to_weights && bias_ ? aligned(column_sums_workspace(rows * g.output[0] * g.output[1], g.out)) : 0);
  parts.destination = parts.source + (staged_ ? aligned(source_bytes(rows)) : 0);
  parts.end = parts.destination + (staged_ ? aligned(destination_bytes(rows)) : 0);
  return parts;
}

const ConvolutionPlan& Convolution::plan(std::int64_t rows) const {
  const std::lock_guard lock(mutex_);
  const ConvolutionPlan*& entry = plans_[rows];
  if (!entry) entry = plan_of(problem_, rows, facts_);
  if (!entry) fail(ErrorKind::internal, "{}: cudnn {} does not serve {} rows", where_, facts_.name(), rows);
  return *entry;
}

std::byte* Convolution::extra_workspace(std::size_t bytes, StreamView stream) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::unique_ptr<Extra>>& extras = extra_[stream.native];
  if (extras.empty() || extras.back()->bytes < bytes) extras.push_back(std::make_unique<Extra>(bytes));
  return static_cast<std::byte*>(extras.back()->memory);
}

void Convolution::run_bias(const KernelCall& call, const void* gradient, std::byte* workspace) const {
  const auto& g = problem_.geometry;
  if (bias_ && call.writes[1])
    column_sums(call.rows * g.output[0] * g.output[1], g.out, problem_.dtype, gradient, static_cast<float*>(call.writes[1]), workspace, call.stream);
}

void Convolution::run(const KernelCall& call) const {
  const bool to_weights = problem_.pass == ConvolutionPass::backward_weights, to_source = problem_.pass == ConvolutionPass::backward_data;
  require(call.rows <= max_rows_, "{}: {} rows in a call of at most {}", where_, call.rows, max_rows_);
  std::byte* const workspace = aligned(call.workspace);
  if (call.rows == 0) {
    if (!to_weights) return;
    const auto bytes = static_cast<std::size_t>(problem_.geometry.weights()) * sizeof(float);
    if (call.writes[0]) check(cudaMemsetAsync(call.writes[0], 0, bytes, native(call.stream)), "cudaMemsetAsync");
    return run_bias(call, nullptr, workspace);
  }
  const auto read = [&](std::size_t index) { return const_cast<void*>(call.reads[index]); };
  ConvolutionPointers at{.source = to_source ? call.writes[0] : read(0),
                         .weights = to_weights ? call.writes[0] : read(1),
                         .destination = to_source ? read(0) : (to_weights ? read(1) : call.writes[0]),
                         .bias = problem_.geometry.bias ? read(2) : nullptr};
  if (to_weights) run_bias(call, at.destination, workspace + parts(call.rows).sums);
  if (!call.writes[0]) return;
  for (std::int64_t first = 0; first < call.rows; first += piece_rows_) {
    run_piece(call, at, std::min(piece_rows_, call.rows - first));
    at.source = static_cast<std::byte*>(at.source) + source_bytes(piece_rows_);
    at.destination = static_cast<std::byte*>(at.destination) + destination_bytes(piece_rows_);
  }
}

void Convolution::run_piece(const KernelCall& call, ConvolutionPointers at, std::int64_t rows) const {
  const bool to_weights = problem_.pass == ConvolutionPass::backward_weights, to_source = problem_.pass == ConvolutionPass::backward_data;
  const cudaStream_t stream = native(call.stream);
  std::byte* const workspace = aligned(call.workspace);
  const Parts parts = this->parts(rows);
  const ConvolutionPointers given = at;
  const bool narrow = parts.sums > parts.gradient;
  if (narrow) at.weights = workspace + parts.gradient;
  const auto stage = [&](void*& address, std::size_t offset, std::size_t bytes, bool written) {
    if (is_aligned(address)) return;
    require(staged_, "{}: an operand at an address that is no multiple of {}", where_, kOperandAlignment);
    void* const from = address;
    address = workspace + offset;
    if (!written) check(cudaMemcpyAsync(address, from, bytes, cudaMemcpyDeviceToDevice, stream), "cudaMemcpyAsync");
  };
  stage(at.source, parts.source, source_bytes(rows), to_source);
  stage(at.destination, parts.destination, destination_bytes(rows), !to_source && !to_weights);

  const ConvolutionPlan& plan = this->plan(rows);
  const std::size_t bytes = plan.facts().workspace_bytes;
  std::byte* const scratch = bytes > plan_bytes_ ? extra_workspace(bytes, call.stream) : workspace + parts.end;
  plan.run(cudnn_handle(call.stream), at, scratch);

  if (narrow)
    widen_to_f32(problem_.geometry.weights(), problem_.dtype, at.weights, static_cast<float*>(given.weights), call.stream);
  const auto give_back = [&](void* staged, void* wanted, std::size_t size) {
    if (staged != wanted) check(cudaMemcpyAsync(wanted, staged, size, cudaMemcpyDeviceToDevice, stream), "cudaMemcpyAsync");
  };
  if (to_source) give_back(at.source, given.source, source_bytes(rows));
  if (!to_source && !to_weights) give_back(at.destination, given.destination, destination_bytes(rows));
}

/// f32 weights of one tap are as cuDNN wants them; so is an f32 bias.
std::size_t Convolution::packed_bytes(int read) const {
  if (problem_.pass == ConvolutionPass::backward_weights) return 0;
  const bool plain = problem_.dtype == Dtype::f32;
  if (read == 1 && !(plain && filters().taps == 1)) return static_cast<std::size_t>(filters().elements()) * size_of(problem_.dtype);
  if (read == 2 && !plain) return static_cast<std::size_t>(problem_.geometry.out) * size_of(problem_.dtype);
  return 0;
}

std::string Convolution::packed_layout(int) const { return fmt::format("[out, kh, kw, in] {}", name_of(problem_.dtype)); }

void Convolution::pack(int read, const float* plain, std::byte* packed, StreamView stream) const {
  require(packed_bytes(read) > 0, "{}: operand {} is not packed", where_, read);
  const FilterShape shape = read == 1 ? filters() : FilterShape{.out = 1, .in = problem_.geometry.out};
  pack_filters(shape, plain, problem_.dtype, packed, stream);
}

std::int64_t Convolution::slot_elements(int write) const {
  return problem_.pass == ConvolutionPass::backward_weights && write == 0 && filters().taps > 1 ? filters().elements() : 0;
}

void Convolution::unpack(int write, const float* slot, float* plain, StreamView stream) const {
  require(slot_elements(write) > 0, "{}: operand {} is not packed", where_, write);
  unpack_filters(filters(), slot, plain, stream);
}

}  // namespace lockstep::cuda
