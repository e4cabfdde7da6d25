// The host code of conv2d.* and dense.* on the fake runtime: what it hands to the libraries, when, where. The libraries are
// stand-ins that take every promise literally; the CPU engine in f32 says what must come out.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/backend/cpu/register.h"
#include "core/backend/cuda/register.h"
#include "core/backend/cuda/vendor/engine_choice.h"
#include "core/backend/cuda/vendor_options.h"
#include "core/base/error.h"
#include "core/base/philox.h"
#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"
#include "tests/core/backend/cuda/vendor/host/stand_ins.h"
#include "tests/support/simt/fake_runtime.h"

namespace lockstep::test {
namespace {

struct Shapes {
  std::int64_t size, in, out, kernel, stride, groups;  ///< size 0: a dense layer
};
const Shapes kShapes[] = {{7, 8, 16, 3, 1, 1}, {6, 3, 5, 3, 2, 1}, {5, 4, 6, 1, 1, 1}, {5, 4, 6, 1, 2, 1}, {4, 6, 6, 3, 1, 6}, {0, 24, 10, 1, 1, 1}, {0, 5, 3, 1, 1, 1}, {0, 7, 300, 1, 1, 1}};
constexpr const char* kPasses[] = {"forward", "backward_data", "backward_weights"};

OpSpec spec_of(const Shapes& s, const std::string& pass, Dtype dtype, std::int64_t lane_rows, std::int64_t max_rows,
               WriteMode mode = WriteMode::overwrite) {
  const std::int64_t pad = s.kernel / 2, made = s.size ? (s.size + 2 * pad - s.kernel) / s.stride + 1 : 0;
  const OperandSpec x{Role::input, {s.size ? Shape{s.size, s.size, s.in} : Shape{s.in}, dtype}};
  const OperandSpec y{Role::output, {s.size ? Shape{made, made, s.out} : Shape{s.out}, dtype}};
  const OperandSpec w{Role::parameter, {s.size ? Shape{s.out, s.in / s.groups, s.kernel, s.kernel} : Shape{s.out, s.in}, Dtype::f32}};
  const OperandSpec b{Role::parameter, {{s.out}, Dtype::f32}};
  OpSpec spec{.op = (s.size ? "conv2d." : "dense.") + pass, .layer = "l", .kind = pass == kPasses[2] ? PhaseKind::per_lane : PhaseKind::rows};
  if (pass == kPasses[0]) spec.reads = {x, w, b}, spec.writes = {y};
  if (pass == kPasses[1]) spec.reads = {y, w}, spec.writes = {x};
  if (pass == kPasses[2]) spec.reads = {x, y}, spec.writes = {w, b};
  if (s.size)
    spec.attributes = {{"stride", std::vector<std::int64_t>{s.stride, s.stride}}, {"padding", std::vector<std::int64_t>(4, pad)}, {"groups", s.groups}};
  spec.lane_rows = lane_rows, spec.max_rows = max_rows;
  spec.writes[0].mode = mode;
  return spec;
}

bool is_whole(const OperandSpec& operand) { return operand.role == Role::parameter; }

/// Device memory; host code copies, and never looks inside.
struct Block {
  explicit Block(std::size_t size) : bytes(size) {
    EXPECT_EQ(cudaMalloc(&memory, std::max<std::size_t>(1, size)), cudaSuccess);
    EXPECT_EQ(cudaMemset(memory, 0xFF, size), cudaSuccess);
  }
  ~Block() { EXPECT_EQ(cudaFree(memory), cudaSuccess); }  // tells of bytes written around it
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  std::byte* data() const { return static_cast<std::byte*>(memory); }
  void* memory = nullptr;
  std::size_t bytes;
};

/// One op on both engines.
class Pair {
 public:
  Pair(const Shapes& shapes, const std::string& pass, Dtype dtype, std::int64_t lane_rows, std::int64_t max_rows, WriteMode mode = WriteMode::overwrite)
      : dtype_(dtype),
        spec_(spec_of(shapes, pass, dtype, lane_rows, max_rows, mode)),
        plain_(spec_of(shapes, pass, Dtype::f32, max_rows, max_rows, mode)),
        kernel_(cuda::kernels().at(spec_.op)(spec_)) {
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
    for (std::size_t i = 0; i < spec_.reads.size(); ++i) {
      const OperandSpec& operand = spec_.reads[i];
      const std::int64_t elements = operand.spec.elements() * (is_whole(operand) ? 1 : max_rows);
      std::vector<float>& values = values_.emplace_back();
      for (std::int64_t e = 0; e < elements; ++e) values.push_back(rounded(2 * Philox::uniform(Philox::draw(static_cast<std::uint64_t>(e), i, 7).w[0]) - 1));
      reads_.push_back(upload(static_cast<int>(i), values));
    }
  }
  ~Pair() { cudaStreamDestroy(stream_); }

  const Kernel& kernel() const { return *kernel_; }

  /// Rows [first, first + count) of both; largest difference of write `index` in relation to its largest value.
  double difference(std::size_t index, std::int64_t first, std::int64_t count, bool skip_bias = false) {
    std::vector<std::unique_ptr<Block>> writes;
    std::vector<const void*> r;
    std::vector<void*> w;
    for (std::size_t i = 0; i < reads_.size(); ++i) r.push_back(reads_[i]->data() + offset(spec_.reads[i], first));
    for (std::size_t i = 0; i < spec_.writes.size(); ++i) {
      const OperandSpec& operand = spec_.writes[i];
      const std::int64_t slot = kernel_->slot_elements(static_cast<int>(i));
      const std::size_t bytes = slot ? static_cast<std::size_t>(slot) * 4 : operand.spec.bytes() * static_cast<std::size_t>(is_whole(operand) ? 1 : count);
      // Where rows begin at odd addresses, so do these.
      const std::size_t shift = offset(operand, first) % 256;
      writes.push_back(std::make_unique<Block>(bytes + shift));
      w.push_back(skip_bias && i == 1 ? nullptr : writes.back()->data() + shift);
      if (operand.mode == WriteMode::accumulate) write_before(w.back(), static_cast<std::int64_t>(bytes / size_of(dtype_)));
    }
    const Block workspace(kernel_->workspace_bytes() + 64);
    kernel_->run({.reads = r, .writes = w, .rows = count, .first_row = first, .workspace = workspace.data() + 64, .stream = {stream_}});
    const OperandSpec& operand = spec_.writes[index];
    std::vector<float> got;
    if (kernel_->slot_elements(static_cast<int>(index))) {
      const Block plain(operand.spec.bytes());
      kernel_->unpack(static_cast<int>(index), static_cast<const float*>(w[index]), reinterpret_cast<float*>(plain.data()), {stream_});
      got = download(plain.data(), operand.spec.elements(), Dtype::f32);
    } else {
      got = download(w[index], operand.spec.elements() * (is_whole(operand) ? 1 : count), operand.spec.dtype);
    }
    const std::vector<float> wanted = on_cpu(index, first, count);
    double difference = 0, size = 1e-6;
    for (std::size_t e = 0; e < wanted.size(); ++e) {
      difference = std::max(difference, std::abs(static_cast<double>(got.at(e)) - wanted[e]));
      if (std::isnan(got[e])) difference = 1e30;
      size = std::max(size, std::abs(static_cast<double>(wanted[e])));
    }
    return difference / size;
  }

 private:
  float rounded(float value) const {
    if (dtype_ == Dtype::bf16) return to_float(to_bfloat16(value));
    return dtype_ == Dtype::f16 ? to_float(to_float16(value)) : value;
  }
  static std::size_t offset(const OperandSpec& operand, std::int64_t first) {
    return is_whole(operand) ? 0 : static_cast<std::size_t>(first) * operand.spec.bytes();
  }

  /// What an accumulated result is added to: numbers that every type holds.
  static float before(std::int64_t element) { return 0.25f * static_cast<float>(element % 7 - 3); }

  void write_before(void* target, std::int64_t elements) const {
    std::vector<float> wide;
    std::vector<std::uint16_t> narrow;
    for (std::int64_t e = 0; e < elements; ++e) {
      wide.push_back(before(e));
      narrow.push_back(dtype_ == Dtype::bf16 ? to_bfloat16(before(e)).bits : to_float16(before(e)).bits);
    }
    const void* from = dtype_ == Dtype::f32 ? static_cast<const void*>(wide.data()) : narrow.data();
    EXPECT_EQ(cudaMemcpy(target, from, static_cast<std::size_t>(elements) * size_of(dtype_), cudaMemcpyHostToDevice), cudaSuccess);
  }

  std::unique_ptr<Block> upload(int index, const std::vector<float>& values) {
    std::vector<std::uint16_t> narrow;
    for (const float value : values) narrow.push_back(dtype_ == Dtype::bf16 ? to_bfloat16(value).bits : to_float16(value).bits);
    const OperandSpec& operand = spec_.reads[static_cast<std::size_t>(index)];
    const bool wide = operand.spec.dtype == Dtype::f32;
    auto plain = std::make_unique<Block>(values.size() * size_of(operand.spec.dtype));
    EXPECT_EQ(cudaMemcpy(plain->memory, wide ? static_cast<const void*>(values.data()) : narrow.data(), plain->bytes, cudaMemcpyHostToDevice), cudaSuccess);
    const std::size_t packed_bytes = is_whole(operand) ? kernel_->packed_bytes(index) : 0;
    if (!packed_bytes) return plain;
    auto packed = std::make_unique<Block>(packed_bytes);
    kernel_->pack(index, reinterpret_cast<const float*>(plain->data()), packed->data(), {stream_});
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    return packed;
  }

  std::vector<float> download(const void* from, std::int64_t elements, Dtype dtype) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(elements) * size_of(dtype));
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    if (elements == 0) return {};
    EXPECT_EQ(cudaMemcpy(bytes.data(), from, bytes.size(), cudaMemcpyDeviceToHost), cudaSuccess);
    std::vector<float> values;
    for (std::int64_t e = 0; e < elements; ++e) {
      if (dtype == Dtype::f32) values.push_back(reinterpret_cast<const float*>(bytes.data())[e]);
      if (dtype == Dtype::bf16) values.push_back(to_float(reinterpret_cast<const BFloat16*>(bytes.data())[e]));
      if (dtype == Dtype::f16) values.push_back(to_float(reinterpret_cast<const Float16*>(bytes.data())[e]));
    }
    return values;
  }

  std::vector<float> on_cpu(std::size_t index, std::int64_t first, std::int64_t count) {
    const auto kernel = cpu::kernels().at(plain_.op)(plain_);
    std::vector<HostBuffer> packed, writes;
    std::vector<const void*> r;
    std::vector<void*> w;
    for (std::size_t i = 0; i < plain_.reads.size(); ++i) {
      const std::size_t bytes = is_whole(plain_.reads[i]) ? kernel->packed_bytes(static_cast<int>(i)) : 0;
      r.push_back(values_[i].data() + offset(plain_.reads[i], first) / 4);
      if (!bytes) continue;
      packed.emplace_back(bytes);
      kernel->pack(static_cast<int>(i), values_[i].data(), packed.back().data(), {});
      r.back() = packed.back().data();
    }
    for (std::size_t i = 0; i < plain_.writes.size(); ++i) {
      const auto slot = static_cast<std::size_t>(kernel->slot_elements(static_cast<int>(i))) * 4;
      writes.emplace_back(slot ? slot : plain_.writes[i].spec.bytes() * static_cast<std::size_t>(is_whole(plain_.writes[i]) ? 1 : std::max<std::int64_t>(1, count)));
      w.push_back(writes.back().data());
      const auto floats = static_cast<std::int64_t>(writes.back().bytes() / sizeof(float));
      for (std::int64_t e = 0; e < floats && plain_.writes[i].mode == WriteMode::accumulate; ++e) static_cast<float*>(w.back())[e] = before(e);
    }
    HostBuffer workspace(kernel->workspace_bytes());
    kernel->run({.reads = r, .writes = w, .rows = count, .first_row = first, .workspace = workspace.data()});
    const std::int64_t elements = plain_.writes[index].spec.elements() * (is_whole(plain_.writes[index]) ? 1 : count);
    std::vector<float> made(static_cast<std::size_t>(elements));
    if (kernel->slot_elements(static_cast<int>(index)))
      kernel->unpack(static_cast<int>(index), reinterpret_cast<const float*>(writes[index].data()), made.data(), {});
    else
      std::copy_n(reinterpret_cast<const float*>(writes[index].data()), elements, made.data());
    return made;
  }

  Dtype dtype_;
  OpSpec spec_, plain_;
  std::unique_ptr<Kernel> kernel_;
  cudaStream_t stream_ = nullptr;
  std::vector<std::vector<float>> values_;
  std::vector<std::unique_ptr<Block>> reads_;
};

class VendorCallsTest : public ::testing::Test {
 protected:
  void SetUp() override { stand_ins() = {}; }
  void TearDown() override {
    EXPECT_EQ(simt::damage(), "");
    EXPECT_EQ(simt::allocated(), 0u);
    simt::reset();
  }
};

double tolerance(Dtype dtype) { return dtype == Dtype::f32 ? 1e-6 : (dtype == Dtype::f16 ? 2e-3 : 1.6e-2); }

TEST_F(VendorCallsTest, EveryPassAndTypeEqualsTheCpuEngine) {
  for (const Shapes& shapes : kShapes)
    for (const char* pass : kPasses)
      for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
        const bool to_weights = std::string(pass) == "backward_weights";
        Pair pair(shapes, pass, dtype, 4, to_weights ? 4 : 8);
        const std::string what = std::string(pass) + " " + std::to_string(shapes.size) + " " + std::string(name_of(dtype));
        EXPECT_LE(pair.difference(0, 0, to_weights ? 4 : 8), tolerance(dtype)) << what;
        EXPECT_LE(pair.difference(0, 0, 3), tolerance(dtype)) << what << ", a short batch";
        EXPECT_LE(to_weights ? 0 : pair.difference(0, 4, 4), tolerance(dtype)) << what << ", the second lane";
        EXPECT_LE(to_weights ? pair.difference(1, 0, 4) : 0, 1e-6) << what << ", bias";
      }
}

/// Cases of a 1x1 convolution whose gradient joins another one: one product, no part of its own.
TEST_F(VendorCallsTest, AnInputGradientOfAConvolutionByPixelIsAddedToWhatIsThere) {
  for (const Shapes& shapes : {Shapes{5, 4, 6, 1, 1, 1}, Shapes{6, 8, 16, 1, 1, 1}})
    for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
      Pair pair(shapes, "backward_data", dtype, 4, 8, WriteMode::accumulate);
      EXPECT_EQ(pair.kernel().implementation(), "cublaslt");
      EXPECT_LE(pair.difference(0, 0, 8), tolerance(dtype)) << name_of(dtype);
      EXPECT_LE(pair.difference(0, 0, 3), tolerance(dtype)) << name_of(dtype) << ", a short batch";
      EXPECT_LE(pair.difference(0, 4, 4), tolerance(dtype)) << name_of(dtype) << ", the second lane";
    }
}

TEST_F(VendorCallsTest, RowsThatBeginAnywhereAreServedThroughAlignedCopies) {
  for (const Shapes& shapes : kShapes)
    for (const char* pass : kPasses) {
      Pair pair(shapes, pass, Dtype::bf16, 1, std::string(pass) == "backward_weights" ? 1 : 6);
      if (std::string(pass) == "backward_weights") {
        EXPECT_LE(pair.difference(0, 0, 1), tolerance(Dtype::bf16)) << pass;
        continue;
      }
      for (std::int64_t first = 0; first < 6; ++first) EXPECT_LE(pair.difference(0, first, 1), tolerance(Dtype::bf16)) << pass << " row " << first;
      EXPECT_LE(pair.difference(0, 1, 5), tolerance(Dtype::bf16)) << pass;
    }
}

TEST_F(VendorCallsTest, AGradientIn16BitsIsWidenedWhereNoEngineDoesIt) {
  stand_ins().wide = false;
  for (const Dtype dtype : {Dtype::bf16, Dtype::f16}) {
    Pair pair({9, 16, 8, 3, 1, 1}, "backward_weights", dtype, 4, 4);  // a shape of its own: choices are kept by shape
    EXPECT_LE(pair.difference(0, 0, 4), tolerance(dtype));
    EXPECT_LE(pair.difference(1, 0, 4), 1e-6);
  }
}

TEST_F(VendorCallsTest, AnEmptyLaneGivesZeros) {
  for (const Shapes& shapes : kShapes) {
    Pair pair(shapes, "backward_weights", Dtype::bf16, 4, 4);
    stand_ins().runs = 0;
    EXPECT_EQ(pair.difference(0, 0, 0), 0);
    EXPECT_EQ(pair.difference(1, 0, 0), 0);
    EXPECT_EQ(stand_ins().runs, 0);
  }
  Pair pair(kShapes[0], "forward", Dtype::bf16, 4, 8);
  stand_ins().runs = 0;
  pair.difference(0, 0, 0);
  EXPECT_EQ(stand_ins().runs, 0);
}

TEST_F(VendorCallsTest, ABiasGradientThatNobodyWantsIsLeftOut) {
  for (const Shapes& shapes : {kShapes[0], kShapes[5]}) {
    Pair pair(shapes, "backward_weights", Dtype::f32, 4, 4);
    EXPECT_LE(pair.difference(0, 0, 4, true), 1e-6);
  }
}

TEST_F(VendorCallsTest, AShortBatchMayNeedMoreWorkspaceThanFullOnes) {
  stand_ins().odd_rows = 3;
  stand_ins().odd_workspace = 100000;
  Pair pair({10, 8, 16, 3, 1, 1}, "forward", Dtype::f32, 4, 8);  // a shape of its own
  EXPECT_LE(pair.difference(0, 0, 3), 1e-6);
  EXPECT_LE(pair.difference(0, 0, 8), 1e-6);
  EXPECT_LE(pair.difference(0, 0, 3), 1e-6);
}

TEST_F(VendorCallsTest, LongCallsAreMadeInPiecesOfSixteenLanes) {
  for (const Shapes& shapes : {Shapes{3, 3, 5, 3, 1, 1}, Shapes{0, 7, 3, 1, 1, 1}})
    for (const char* pass : {"forward", "backward_data"})
      for (const std::int64_t lane : {1, 2}) {
        Pair pair(shapes, pass, Dtype::bf16, lane, 40);
        stand_ins().runs = 0;
        EXPECT_LE(pair.difference(0, 0, 40), tolerance(Dtype::bf16)) << pass;
        EXPECT_EQ(stand_ins().runs, lane == 1 ? 3 : 2);
      }
}

TEST_F(VendorCallsTest, ADenseLayerWithoutOneAlgorithmForAllRowsTakesOneForEach) {
  stand_ins().whole_k = false;
  Pair pair(kShapes[5], "forward", Dtype::f16, 4, 8);
  for (const std::int64_t rows : {8, 4, 3, 1}) EXPECT_LE(pair.difference(0, 0, rows), tolerance(Dtype::f16));
}

/// The last of the stand-ins' three engines is the fastest.
TEST_F(VendorCallsTest, TuningTimesEachProblemOnceAndTakesTheFastestEngine) {
  cuda::VendorOptions& options = cuda::vendor_options();
  const cuda::VendorOptions before = options;
  options.tune = true, options.carried = "tuning";  // a store of its own
  OpSpec spec = spec_of({8, 16, 8, 3, 1, 1}, "forward", Dtype::bf16, 2, 8);
  for (const char* layer : {"a", "b"}) {
    spec.layer = layer;
    EXPECT_NE(cuda::kernels().at(spec.op)(spec)->implementation().find("engine 9"), std::string::npos);
  }
  const auto timings = cuda::plan_store().timings();
  ASSERT_EQ(timings.size(), 1u);
  EXPECT_EQ(timings[0].layers, (std::vector<std::string>{"a: conv2d.forward", "b: conv2d.forward"}));
  EXPECT_EQ(timings[0].first, "engine 7");
  EXPECT_EQ(timings[0].best, "engine 9");
  EXPECT_GT(timings[0].first_microseconds, timings[0].best_microseconds);
  EXPECT_EQ(timings[0].rows, 8);
  options.tune = false;
  EXPECT_NE(cuda::kernels().at(spec.op)(spec)->implementation().find("engine 9"), std::string::npos);
  options = before;
}

TEST_F(VendorCallsTest, MoreRowsThanPromisedAreRefused) {
  for (const Shapes& shapes : {kShapes[0], kShapes[5]}) {
    Pair pair(shapes, "forward", Dtype::f32, 4, 8);
    KernelCall call{.reads = {}, .writes = {}, .rows = 9};
    EXPECT_THROW(pair.kernel().run(call), Error);
  }
}

}  // namespace
}  // namespace lockstep::test
