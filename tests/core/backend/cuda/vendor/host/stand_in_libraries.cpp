// Takes the place of convolution_plan.cpp, cudnn.cpp, cublaslt.cpp and engine_timing.cpp.
#include <cuda_runtime_api.h>

#include <cstring>

#include "core/backend/cuda/vendor/convolution_plan.h"
#include "core/backend/cuda/vendor/cublaslt.h"
#include "core/backend/cuda/vendor/cudnn.h"
#include "core/backend/cuda/vendor/engine_choice.h"
#include "core/base/error.h"
#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"
#include "tests/core/backend/cuda/vendor/host/stand_ins.h"
#include "tests/support/simt/fake_runtime.h"

namespace lockstep {

test::StandIns& test::stand_ins() {
  static StandIns all;
  return all;
}

namespace cuda {

namespace {

using test::stand_ins;

float load(const void* at, Dtype dtype, std::int64_t index) {
  if (dtype == Dtype::f32) return static_cast<const float*>(at)[index];
  if (dtype == Dtype::bf16) return to_float(static_cast<const BFloat16*>(at)[index]);
  return to_float(static_cast<const Float16*>(at)[index]);
}

void store_at(void* at, Dtype dtype, std::int64_t index, double value) {
  const auto f32 = static_cast<float>(value);
  if (dtype == Dtype::f32) static_cast<float*>(at)[index] = f32;
  if (dtype == Dtype::bf16) static_cast<BFloat16*>(at)[index] = to_bfloat16(f32);
  if (dtype == Dtype::f16) static_cast<Float16*>(at)[index] = to_float16(f32);
}

void require_aligned(const void* address, std::size_t alignment) {
  require(reinterpret_cast<std::uintptr_t>(address) % alignment == 0, "stand-in: address not a multiple of {}", alignment);
}

/// Calls body(row, output y, output x, input y, input x, tap y, tap x) for all that meet.
template <class Body>
void for_taps(const ConvolutionGeometry& g, std::int64_t rows, const Body& body) {
  for (std::int64_t n = 0; n < rows; ++n)
    for (std::int64_t oy = 0; oy < g.output[0]; ++oy)
      for (std::int64_t ox = 0; ox < g.output[1]; ++ox)
        for (std::int64_t ky = 0; ky < g.kernel[0]; ++ky)
          for (std::int64_t kx = 0; kx < g.kernel[1]; ++kx) {
            const std::int64_t iy = oy * g.stride[0] + ky - g.pad_low[0], ix = ox * g.stride[1] + kx - g.pad_low[1];
            if (iy >= 0 && iy < g.input[0] && ix >= 0 && ix < g.input[1])
              body((n * g.output[0] + oy) * g.output[1] + ox, (n * g.input[0] + iy) * g.input[1] + ix, ky * g.kernel[1] + kx);
          }
}

void convolve(const ConvolutionProblem& p, std::int64_t rows, const ConvolutionPointers& at) {
  const auto& g = p.geometry;
  const std::int64_t in = g.in / g.groups, out = g.out / g.groups, taps = g.kernel[0] * g.kernel[1];
  const std::int64_t sources = rows * g.input[0] * g.input[1] * g.in, destinations = rows * g.output[0] * g.output[1] * g.out;
  const bool forward = p.pass == ConvolutionPass::forward, to_source = p.pass == ConvolutionPass::backward_data;
  std::vector<double> sums(static_cast<std::size_t>(forward ? destinations : (to_source ? sources : g.weights())), 0.0);
  for_taps(g, rows, [&](std::int64_t output_pixel, std::int64_t input_pixel, std::int64_t tap) {
    for (std::int64_t o = 0; o < g.out; ++o)
      for (std::int64_t i = 0; i < in; ++i) {
        const std::int64_t source = input_pixel * g.in + o / out * in + i, destination = output_pixel * g.out + o;
        const std::int64_t weight = (o * taps + tap) * in + i;
        if (forward)
          sums[static_cast<std::size_t>(destination)] += static_cast<double>(load(at.source, p.dtype, source)) * load(at.weights, p.dtype, weight);
        else if (to_source)
          sums[static_cast<std::size_t>(source)] += static_cast<double>(load(at.destination, p.dtype, destination)) * load(at.weights, p.dtype, weight);
        else
          sums[static_cast<std::size_t>(weight)] += static_cast<double>(load(at.source, p.dtype, source)) * load(at.destination, p.dtype, destination);
      }
  });
  for (std::size_t e = 0; e < sums.size(); ++e) {
    const auto index = static_cast<std::int64_t>(e);
    if (forward) store_at(at.destination, p.dtype, index, sums[e] + (g.bias ? load(at.bias, p.dtype, index % g.out) : 0.0f));
    else if (to_source) store_at(at.source, p.dtype, index, sums[e]);
    else store_at(at.weights, p.wide ? Dtype::f32 : p.dtype, index, sums[e]);
  }
}

}  // namespace

struct ConvolutionPlan::Impl {
  ConvolutionProblem problem;
  std::int64_t rows;
  EngineFacts facts;
};

ConvolutionPlan::ConvolutionPlan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ConvolutionPlan::~ConvolutionPlan() = default;

std::optional<EngineFacts> ConvolutionPlan::usable(const PlanTarget&, const ConvolutionProblem& problem, const std::vector<std::int64_t>& rows,
                                                   std::size_t, const EngineChoice& choice) {
  if (problem.wide && !stand_ins().wide) return {};
  EngineFacts facts{.choice = choice, .tensor_cores = true};
  facts.workspace_bytes = rows.front() == stand_ins().odd_rows ? stand_ins().odd_workspace : stand_ins().workspace;
  return facts;
}

std::vector<EngineFacts> ConvolutionPlan::candidates(const PlanTarget& target, const ConvolutionProblem& problem,
                                                     const std::vector<std::int64_t>& rows, std::size_t limit, std::size_t) {
  std::vector<EngineFacts> found;
  for (const int engine : {7, 8, 9})
    if (const auto facts = usable(target, problem, rows, limit, {.engine = engine})) found.push_back(*facts);
  return found;
}

std::unique_ptr<ConvolutionPlan> ConvolutionPlan::build(const PlanTarget& target, const ConvolutionProblem& problem, std::int64_t rows,
                                                        const EngineChoice& choice) {
  const auto facts = usable(target, problem, {rows}, 0, choice);
  return std::unique_ptr<ConvolutionPlan>(new ConvolutionPlan(std::make_unique<Impl>(Impl{problem, rows, *facts})));
}

std::unique_ptr<ConvolutionPlan> ConvolutionPlan::load(const PlanTarget&, const EngineFacts&, const std::vector<std::uint8_t>&, std::string&) { return nullptr; }
const EngineFacts& ConvolutionPlan::facts() const { return impl_->facts; }
std::vector<std::uint8_t> ConvolutionPlan::bytes() const { return {}; }

void ConvolutionPlan::run(cudnnContext* handle, const ConvolutionPointers& at, std::byte* workspace) const {
  for (const void* address : {at.source, at.weights, at.destination, at.bias}) require_aligned(address, 16);
  require_aligned(workspace, 256);
  ++stand_ins().runs;
  simt::enqueue(reinterpret_cast<cudaStream_t>(handle), [impl = *impl_, at, workspace] {
    std::memset(workspace, 0x7F, impl.facts.workspace_bytes);
    convolve(impl.problem, impl.rows, at);
    std::memset(workspace, 0x7F, impl.facts.workspace_bytes);
  });
}

cudnnHandle_t cudnn_handle(StreamView stream) { return static_cast<cudnnHandle_t>(stream.native); }
PlanTarget plan_target() { return {}; }
PlanDevice plan_device() { return {.gpu = "stand-in", .cudnn = "0.0.0"}; }
std::string cudnn_version() { return "0.0.0"; }

/// The last is the fastest.
std::vector<double> microseconds_of(const ConvolutionProblem&, std::int64_t, const std::vector<const ConvolutionPlan*>& plans) {
  std::vector<double> times;
  for (std::size_t i = 0; i < plans.size(); ++i) times.push_back(100.0 / static_cast<double>(i + 1));
  return times;
}

Matmul::Matmul(const MatmulProblem& problem) : problem_(problem) { problem.require_valid(); }
Matmul::~Matmul() = default;

std::vector<cublasLtMatmulAlgo_t> Matmul::algorithms(std::size_t) const {
  cublasLtMatmulAlgo_t algorithm{};
  algorithm.data[0] = static_cast<std::uint64_t>(stand_ins().whole_k ? 1 : problem_.n * 1000 + problem_.k);
  return {algorithm};
}

std::optional<std::size_t> Matmul::workspace_of(const cublasLtMatmulAlgo_t& algorithm) const {
  const bool mine = algorithm.data[0] == 1 || algorithm.data[0] == static_cast<std::uint64_t>(problem_.n * 1000 + problem_.k);
  return mine ? std::optional(stand_ins().workspace) : std::nullopt;
}

void Matmul::run(const cublasLtMatmulAlgo_t& algorithm, const void* a, const void* b, void* d, const void* bias, std::byte* workspace,
                 std::size_t workspace_bytes, StreamView stream) const {
  require(workspace_of(algorithm).has_value() && *workspace_of(algorithm) <= workspace_bytes, "stand-in: algorithm of another product");
  require_aligned(a, problem_.align_a), require_aligned(b, problem_.align_b), require_aligned(d, problem_.align_d);
  require_aligned(bias, 16), require_aligned(workspace, 256);
  require(problem_.bias == (bias != nullptr), "stand-in: bias or not");
  ++stand_ins().runs;
  simt::enqueue(static_cast<cudaStream_t>(stream.native), [p = problem_, a, b, d, bias, workspace, workspace_bytes] {
    std::memset(workspace, 0x7F, workspace_bytes);
    for (std::int64_t row = 0; row < p.m; ++row)
      for (std::int64_t column = 0; column < p.n; ++column) {
        double sum = p.bias ? load(bias, p.output, row) : 0.0f;
        if (p.accumulate) sum += load(d, p.output, row + column * p.ldd);
        for (std::int64_t i = 0; i < p.k; ++i)
          sum += static_cast<double>(load(a, p.inputs, p.transpose_a ? i + row * p.lda : row + i * p.lda)) *
                 load(b, p.inputs, p.transpose_b ? column + i * p.ldb : i + column * p.ldb);
        store_at(d, p.output, row + column * p.ldd, sum);
      }
  });
}

}  // namespace cuda
}  // namespace lockstep
