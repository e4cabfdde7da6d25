#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <thread>

#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"
#include "core/base/philox.h"
#include "core/tensor/bfloat16.h"
#include "tests/support/layer_case.h"

namespace lockstep::test {
namespace {

struct Shapes {
  std::int64_t size, in, out, kernel, stride, groups;  ///< size 0: a dense layer
};

// The shapes of small residual networks, a stem, projections, depthwise and odd channels.
const Shapes kShapes[] = {{28, 1, 32, 3, 2, 1},  {14, 32, 32, 3, 1, 1},  {14, 32, 64, 3, 2, 1}, {14, 32, 64, 1, 2, 1}, {7, 64, 64, 3, 1, 1},
                          {7, 64, 128, 1, 2, 1}, {4, 128, 128, 3, 1, 1}, {8, 32, 32, 3, 1, 32}, {8, 3, 16, 5, 1, 1},   {7, 24, 40, 3, 1, 1},
                          {0, 128, 10, 1, 1, 1}, {0, 784, 300, 1, 1, 1}, {0, 64, 64, 1, 1, 1}};

std::string name_of(const Shapes& s) {
  return std::to_string(s.size) + " " + std::to_string(s.in) + "->" + std::to_string(s.out) + " k" + std::to_string(s.kernel) + " s" +
         std::to_string(s.stride) + " g" + std::to_string(s.groups);
}

/// A kernel with memory for all its operands: reads filled with random numbers, packed where it wants.
struct Bench {
  OpSpec spec;
  std::unique_ptr<Kernel> kernel;
  std::vector<HostBuffer> reads, writes;
  std::int64_t rows;

  Bench(const Shapes& s, Dtype dtype, const std::string& what, std::int64_t lane_rows, std::int64_t max_rows) : rows(max_rows) {
    std::unique_ptr<Layer> layer;
    if (s.size)
      layer = make_from<Layer>({{"conv2d", Value::integer(s.out)},
                                {"size", Value::integer(s.kernel)},
                                {"stride", Value::integer(s.stride)},
                                {"groups", Value::integer(s.groups)}});
    else
      layer = make_from<Layer>({{"dense", Value::integer(s.out)}});
    const TensorSpec input{s.size ? Shape{s.size, s.size, s.in} : Shape{s.in}, dtype};
    const LayerSpec of = layer->describe(std::vector<TensorSpec>{input});
    const Phase phase = what == "forward" ? of.forward[0] : of.backward[what == "backward_data" ? 1 : 0];
    spec = {.op = phase.op, .layer = "test", .kind = phase.kind, .reads = {}, .writes = {}, .attributes = phase.attributes};
    spec.lane_rows = lane_rows, spec.max_rows = max_rows;
    const auto operand = [&](const Operand& o) -> OperandSpec {
      if (o.role == Role::parameter || o.role == Role::parameter_gradient)
        return {o.role, {of.parameters[static_cast<std::size_t>(o.index)].shape, Dtype::f32}, WriteMode::overwrite};
      return {o.role, o.role == Role::input || o.role == Role::input_gradient ? input : of.outputs[0], WriteMode::overwrite};
    };
    for (const Operand& o : phase.reads) spec.reads.push_back(operand(o));
    for (const Operand& o : phase.writes) spec.writes.push_back(operand(o));
    kernel = cpu::kernels().at(spec.op)(spec);
    for (std::size_t i = 0; i < spec.reads.size(); ++i) reads.push_back(make_read(i));
    for (std::size_t i = 0; i < spec.writes.size(); ++i) writes.push_back(make_write(i));
  }

  HostBuffer make_read(std::size_t i) const {
    const TensorSpec& t = spec.reads[i].spec;
    const bool whole = spec.reads[i].role == Role::parameter;
    const std::int64_t elements = t.elements() * (whole ? 1 : rows);
    HostBuffer plain(static_cast<std::size_t>(elements) * size_of(t.dtype));
    for (std::int64_t e = 0; e < elements; ++e) {
      const float value = 2 * Philox::uniform(Philox::draw(static_cast<std::uint64_t>(e), i, 7).w[0]) - 1;
      if (t.dtype == Dtype::f32)
        reinterpret_cast<float*>(plain.data())[e] = value;
      else
        reinterpret_cast<BFloat16*>(plain.data())[e] = to_bfloat16(value);
    }
    const std::size_t bytes = whole ? kernel->packed_bytes(static_cast<int>(i)) : 0;
    if (!bytes) return plain;
    HostBuffer packed(bytes);
    kernel->pack(static_cast<int>(i), reinterpret_cast<const float*>(plain.data()), packed.data(), {});
    return packed;
  }

  HostBuffer make_write(std::size_t i) const {
    const bool whole = spec.writes[i].role == Role::parameter_gradient;
    const auto slot = static_cast<std::size_t>(kernel->slot_elements(static_cast<int>(i))) * sizeof(float);
    return HostBuffer(slot ? slot : spec.writes[i].spec.bytes() * static_cast<std::size_t>(whole ? 1 : rows));
  }

  /// Rows [first, first + count) into `into`.
  void run(std::int64_t first, std::int64_t count, std::vector<HostBuffer>& into) const {
    std::vector<const void*> r;
    std::vector<void*> w;
    const auto at = [&](const OperandSpec& o) {
      return o.role == Role::parameter || o.role == Role::parameter_gradient ? 0 : static_cast<std::size_t>(first) * o.spec.bytes();
    };
    for (std::size_t i = 0; i < reads.size(); ++i) r.push_back(reads[i].data() + at(spec.reads[i]));
    for (std::size_t i = 0; i < into.size(); ++i) w.push_back(into[i].data() + at(spec.writes[i]));
    HostBuffer workspace(kernel->workspace_bytes());
    kernel->run({.reads = r, .writes = w, .rows = count, .first_row = first, .workspace = workspace.data()});
  }

  std::vector<HostBuffer> fresh() const {
    std::vector<HostBuffer> memory;
    for (std::size_t i = 0; i < spec.writes.size(); ++i) {
      memory.push_back(make_write(i));
      std::memset(memory.back().data(), 0xFF, memory.back().bytes());
    }
    return memory;
  }
};

bool same(const std::vector<HostBuffer>& a, const std::vector<HostBuffer>& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(a[i].data(), b[i].data(), a[i].bytes()) != 0) return false;
  return true;
}

TEST(ConvolutionTest, OrdinaryShapesNeverFallToTheReference) {
  if (cpu::simd_level() == cpu::SimdLevel::baseline) GTEST_SKIP() << "oneDNN has few fast kernels below AVX2";
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16})
    for (const Shapes& s : kShapes)
      for (const char* what : {"forward", "backward_data", "backward_weights"}) {
        const std::string implementation = Bench(s, dtype, what, 16, 16).kernel->implementation();
        EXPECT_EQ(implementation.find("ref"), std::string::npos) << what << " " << name_of(s) << ": " << implementation;
        EXPECT_EQ(implementation.rfind("onednn ", 0), 0u) << implementation;
        const bool point = s.kernel == 1;
        EXPECT_EQ(implementation.find("1x1") != std::string::npos, point) << what << " " << name_of(s) << ": " << implementation;
      }
}

/// Compares one call of `rows` with calls of `part` rows each.
void expect_same_bits(const Shapes& s, Dtype dtype, std::int64_t lane_rows, std::int64_t rows, std::initializer_list<std::int64_t> parts) {
  for (const char* what : {"forward", "backward_data"}) {
    Bench bench(s, dtype, what, lane_rows, rows);
    bench.run(0, rows, bench.writes);
    for (const std::int64_t part : parts) {
      auto results = bench.fresh();
      for (std::int64_t first = 0; first < rows; first += part) bench.run(first, std::min(part, rows - first), results);
      EXPECT_TRUE(same(bench.writes, results)) << what << " " << name_of(s) << " " << lockstep::name_of(dtype) << " in calls of " << part
                                               << ": " << bench.kernel->implementation();
    }
  }
}

TEST(ConvolutionTest, ASamplesBitsDoNotDependOnTheLanesOfItsCall) {
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16})
    for (const Shapes& s : kShapes) expect_same_bits(s, dtype, 8, 75, {64, 32, 16, 8});
  // oneDNN cuts the sums of these by the number of rows.
  for (const Shapes& s : {Shapes{0, 64, 64, 1, 1, 1}, Shapes{0, 3136, 128, 1, 1, 1}}) expect_same_bits(s, Dtype::f32, 16, 512, {48, 16});
}

TEST(ConvolutionTest, AnyCutOfALaneGivesTheSameBitsForOrdinaryShapes) {
  if (cpu::simd_level() == cpu::SimdLevel::baseline) GTEST_SKIP() << "not so below AVX2, and not needed";
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16})
    for (const Shapes& s : kShapes) expect_same_bits(s, dtype, 16, 32, {16, 8, 5, 1});
}

TEST(ConvolutionTest, TwoThreadsAtOnceGiveTheSameBits) {
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16})
    for (const char* what : {"forward", "backward_data", "backward_weights"}) {
      Bench bench({7, 24, 40, 3, 1, 1}, dtype, what, 8, 8);
      bench.run(0, 8, bench.writes);
      std::vector<HostBuffer> results[2] = {bench.fresh(), bench.fresh()};
      const auto work = [&](int which) {
        for (int repeat = 0; repeat < 20; ++repeat) bench.run(0, 8, results[which]);
      };
      std::thread other(work, 1);
      work(0);
      other.join();
      EXPECT_TRUE(same(bench.writes, results[0]) && same(bench.writes, results[1])) << what;
    }
}

TEST(ConvolutionTest, SlotsAreWhollyWrittenAndZeroForAnEmptyLane) {
  for (const Shapes& s : kShapes) {
    Bench bench(s, Dtype::f32, "backward_weights", 4, 4);
    auto slots = bench.fresh();
    bench.run(0, 4, slots);
    for (const HostBuffer& slot : slots)
      for (std::size_t i = 0; i < slot.bytes() / sizeof(float); ++i)
        ASSERT_FALSE(std::isnan(reinterpret_cast<const float*>(slot.data())[i])) << name_of(s) << " at " << i;
    bench.run(0, 0, slots);
    for (const HostBuffer& slot : slots)
      for (std::size_t i = 0; i < slot.bytes() / sizeof(float); ++i)
        ASSERT_EQ(reinterpret_cast<const float*>(slot.data())[i], 0) << name_of(s);
  }
}

TEST(ConvolutionTest, UnpackingTwiceASlotIsTwiceThePlainGradient) {
  Bench bench({7, 24, 40, 3, 1, 1}, Dtype::f32, "backward_weights", 4, 4);
  bench.run(0, 4, bench.writes);
  const auto elements = static_cast<std::size_t>(bench.kernel->slot_elements(0));
  std::vector<float> once(24 * 40 * 9), twice(once.size());
  auto* slot = reinterpret_cast<float*>(bench.writes[0].data());
  bench.kernel->unpack(0, slot, once.data(), {});
  for (std::size_t i = 0; i < elements; ++i) slot[i] += slot[i];
  bench.kernel->unpack(0, slot, twice.data(), {});
  for (std::size_t i = 0; i < once.size(); ++i) ASSERT_EQ(twice[i], 2 * once[i]);
}

TEST(ConvolutionTest, Bf16IsNearF32) {
  for (const Shapes& s : kShapes)
    for (const char* what : {"forward", "backward_data"}) {
      Bench exact(s, Dtype::f32, what, 4, 4), rounded(s, Dtype::bf16, what, 4, 4);
      exact.run(0, 4, exact.writes);
      rounded.run(0, 4, rounded.writes);
      const auto* expected = reinterpret_cast<const float*>(exact.writes[0].data());
      const auto* got = reinterpret_cast<const BFloat16*>(rounded.writes[0].data());
      const std::size_t n = exact.writes[0].bytes() / sizeof(float);
      double scale = 0;
      for (std::size_t i = 0; i < n; ++i) scale = std::max(scale, std::abs(static_cast<double>(expected[i])));
      for (std::size_t i = 0; i < n; ++i)
        ASSERT_NEAR(to_float(got[i]), expected[i], 0.02 * scale) << what << " " << name_of(s) << " at " << i;
    }
}

TEST(ConvolutionTest, RefusesMoreRowsThanBoundFor) {
  Bench bench({0, 8, 4, 1, 1, 1}, Dtype::f32, "forward", 2, 4);
  try {
    bench.run(0, 5, bench.writes);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "test: dense.forward: 5 rows in a call of at most 4");
  }
}

}  // namespace
}  // namespace lockstep::test
