#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/core/backend/cuda/op_twin.h"
#include "tests/support/device_case.h"
#include "tests/support/error_text.h"

namespace lockstep::test {
namespace {

struct Window {
  std::int64_t size, stride;
  bool same;
};
struct Size {
  std::int64_t height, width, channels;
};

constexpr Dtype kTypes[] = {Dtype::f32, Dtype::bf16, Dtype::f16};
const std::vector<Window> kWindows = {{1, 1, false}, {2, 2, false}, {3, 2, true}, {3, 1, true}, {2, 3, false}, {5, 2, true}};
// Whole groups of channels, single channels, odd extents, extents below the window.
const std::vector<Size> kSizes = {{5, 6, 8}, {7, 5, 16}, {5, 5, 1}, {6, 7, 3}, {9, 5, 12}, {5, 40, 24}};

std::int64_t extent(std::int64_t input, const Window& w) { return ((w.same ? input - 1 : input - w.size) / w.stride) + 1; }

/// The ops of a pooling layer of one dtype.
struct Pool {
  Pool(const Size& s, const Window& w, Dtype type) : dtype(type) {
    const std::int64_t pad = w.same ? (w.size - 1) / 2 : 0;
    x = {Shape{s.height, s.width, s.channels}, type};
    y = {Shape{extent(s.height, w), extent(s.width, w), s.channels}, type};
    attributes = {{"size", std::vector<std::int64_t>{w.size, w.size}},
                  {"stride", std::vector<std::int64_t>{w.stride, w.stride}},
                  {"padding", std::vector<std::int64_t>{pad, pad}}};
  }
  OpSpec forward(const std::string& op, bool places) const {
    OpSpec spec{.op = op, .layer = "pool", .reads = {{Role::input, x}}, .writes = {{Role::output, y}}, .attributes = attributes};
    if (places) spec.writes.push_back({Role::saved, {y.shape, Dtype::u8}});
    return spec;
  }
  OpSpec backward(const std::string& op, bool places, WriteMode mode) const {
    OpSpec spec{.op = op,
                .layer = "pool",
                .reads = {{Role::output_gradient, y}},
                .writes = {{Role::input_gradient, x, mode}},
                .attributes = attributes};
    if (places) spec.reads.push_back({Role::saved, {y.shape, Dtype::u8}});
    return spec;
  }

  Dtype dtype;
  TensorSpec x, y;
  Attributes attributes;
};

/// f16 has no kernels on the CPU: there the call in f32 tells what to expect, since all values are exact in both.
OpCall in_f32(OpCall call) {
  const auto widen = [](std::vector<OperandSpec>& specs, std::vector<Bytes>& bytes) {
    for (std::size_t i = 0; i < specs.size(); ++i)
      if (specs[i].spec.dtype == Dtype::f16) {
        bytes[i] = as_bytes(as_floats(bytes[i], Dtype::f16), Dtype::f32);
        specs[i].spec.dtype = Dtype::f32;
      }
  };
  widen(call.op.reads, call.reads);
  widen(call.op.writes, call.writes);
  return call;
}

std::vector<Bytes> expected(const OpCall& call) {
  if (call.op.reads[0].spec.dtype != Dtype::f16) return call.on_cpu();
  std::vector<Bytes> result = in_f32(call).on_cpu();
  for (std::size_t i = 0; i < result.size(); ++i)
    if (call.op.writes[i].spec.dtype == Dtype::f16) result[i] = as_bytes(as_floats(result[i], Dtype::f32), Dtype::f16);
  return result;
}

/// Equal bits on both devices, wherever the operands begin, and row by row.
void compare(OpCall call) {
  const std::vector<Bytes> wanted = expected(call);
  EXPECT_EQ(call.on_cuda(), wanted) << call.op.op;
  EXPECT_EQ(call.on_cuda(1), wanted) << call.op.op << ", unaligned";
  std::vector<Bytes> joined(call.writes.size());
  for (std::int64_t row = 0; row < call.rows; ++row) {
    const auto cut = [&](const std::vector<Bytes>& all) {
      std::vector<Bytes> part;
      for (const Bytes& bytes : all) {
        const auto size = static_cast<std::ptrdiff_t>(bytes.size()) / call.rows;
        part.emplace_back(bytes.begin() + row * size, bytes.begin() + (row + 1) * size);
      }
      return part;
    };
    const std::vector<Bytes> one = OpCall{call.op, 1, cut(call.reads), cut(call.writes)}.on_cuda();
    for (std::size_t i = 0; i < one.size(); ++i) joined[i].insert(joined[i].end(), one[i].begin(), one[i].end());
  }
  EXPECT_EQ(joined, wanted) << call.op.op << ", row by row";
}

Bytes poison(const TensorSpec& spec, std::int64_t rows) { return Bytes(spec.bytes() * static_cast<std::size_t>(rows), std::byte{0xFF}); }

/// Runs `body(pool, rows)` over sizes, windows and types.
template <class Body>
void everywhere(const Body& body) {
  for (const Size& size : kSizes)
    for (const Window& window : kWindows)
      for (const Dtype dtype : kTypes) {
        SCOPED_TRACE(testing::Message() << "[" << size.height << ", " << size.width << ", " << size.channels << "] " << name_of(dtype)
                                        << ", size " << window.size << ", stride " << window.stride << ", same " << window.same);
        body(Pool(size, window, dtype), 3);
      }
}

TEST(CudaPoolingTest, MaximaAndTheirPlacesEqualTheCpus) {
  everywhere([](const Pool& pool, std::int64_t rows) {
    const Bytes x = as_bytes(eighths(rows * pool.x.elements(), 1), pool.dtype);
    const std::vector<Bytes> poisoned{poison(pool.y, rows), poison({pool.y.shape, Dtype::u8}, rows)};
    const OpCall forward{pool.forward("max_pool.forward", true), rows, {x}, poisoned};
    compare(forward);
    compare({pool.forward("max_pool.evaluate", false), rows, {x}, {poison(pool.y, rows)}});
    const Bytes places = expected(forward)[1], dy = as_bytes(eighths(rows * pool.y.elements(), 2), pool.dtype);
    compare({pool.backward("max_pool.backward", true, WriteMode::overwrite), rows, {dy, places}, {poison(pool.x, rows)}});
    const Bytes before = as_bytes(eighths(rows * pool.x.elements(), 3), pool.dtype);
    compare({pool.backward("max_pool.backward", true, WriteMode::accumulate), rows, {dy, places}, {before}});
  });
}

TEST(CudaPoolingTest, MeansEqualTheCpus) {
  everywhere([](const Pool& pool, std::int64_t rows) {
    const Bytes x = as_bytes(eighths(rows * pool.x.elements(), 4), pool.dtype);
    const Bytes dy = as_bytes(eighths(rows * pool.y.elements(), 5), pool.dtype);
    compare({pool.forward("average_pool.forward", false), rows, {x}, {poison(pool.y, rows)}});
    compare({pool.backward("average_pool.backward", false, WriteMode::overwrite), rows, {dy}, {poison(pool.x, rows)}});
    const Bytes before = as_bytes(eighths(rows * pool.x.elements(), 6), pool.dtype);
    compare({pool.backward("average_pool.backward", false, WriteMode::accumulate), rows, {dy}, {before}});
  });
}

TEST(CudaPoolingTest, GlobalMeansEqualTheCpus) {
  // More lines than a block takes at a time, more channels than a block has, single ones.
  for (const Size& size : std::vector<Size>{{1, 1, 8}, {7, 7, 512}, {9, 3, 264}, {20, 2, 5}, {8, 1, 33}, {17, 4, 1}})
    for (const Dtype dtype : kTypes) {
      SCOPED_TRACE(testing::Message() << "[" << size.height << ", " << size.width << ", " << size.channels << "] " << name_of(dtype));
      const TensorSpec x{Shape{size.height, size.width, size.channels}, dtype}, y{Shape{size.channels}, dtype};
      const std::int64_t rows = 2;
      std::vector<float> values = eighths(rows * x.elements(), 8);
      // Sums whose order shows in f32; f16 stays with sums that are exact.
      if (dtype == Dtype::f32)
        for (std::size_t i = 0; i < values.size(); ++i) values[i] *= 1.0f + static_cast<float>(i % 97) * 0x1p-20f;
      const OpSpec forward{.op = "global_average_pool.forward", .reads = {{Role::input, x}}, .writes = {{Role::output, y}}};
      compare({forward, rows, {as_bytes(values, dtype)}, {poison(y, rows)}});
      const Bytes dy = as_bytes(eighths(rows * y.elements(), 9), dtype), before = as_bytes(eighths(rows * x.elements(), 10), dtype);
      OpSpec backward{.op = "global_average_pool.backward", .reads = {{Role::output_gradient, y}}, .writes = {{Role::input_gradient, x}}};
      compare({backward, rows, {dy}, {poison(x, rows)}});
      backward.writes[0].mode = WriteMode::accumulate;
      compare({backward, rows, {dy}, {before}});
    }
}

TEST(CudaPoolingTest, ANanIsAMaximum) {
  for (const Dtype dtype : kTypes)
    for (const std::int64_t channels : {1, 8}) {
      const Pool pool({3, 3, channels}, {3, 3, false}, dtype);
      std::vector<float> x(static_cast<std::size_t>(9 * channels), 1.0f);
      x[static_cast<std::size_t>(4 * channels)] = std::numeric_limits<float>::quiet_NaN();
      const std::vector<Bytes> poisoned{poison(pool.y, 1), poison({pool.y.shape, Dtype::u8}, 1)};
      const std::vector<Bytes> result = OpCall{pool.forward("max_pool.forward", true), 1, {as_bytes(x, dtype)}, poisoned}.on_cuda();
      EXPECT_TRUE(std::isnan(as_floats(result[0], dtype)[0]));
      EXPECT_EQ(result[1][0], std::byte{4});
      if (channels > 1) {
        EXPECT_EQ(as_floats(result[0], dtype)[1], 1.0f);
      }
    }
}

TEST(CudaPoolingTest, NoRowsAreNoWork) {
  const Pool pool({4, 4, 8}, {2, 2, false}, Dtype::f32);
  EXPECT_EQ((OpCall{pool.forward("max_pool.evaluate", false), 0, {{}}, {{}}}.on_cuda()), (std::vector<Bytes>{{}}));
  const TensorSpec x{Shape{4, 4, 8}}, y{Shape{8}};
  const OpSpec global{.op = "global_average_pool.forward", .reads = {{Role::input, x}}, .writes = {{Role::output, y}}};
  EXPECT_EQ((OpCall{global, 0, {{}}, {{}}}.on_cuda()), (std::vector<Bytes>{{}}));
}

TEST(CudaPoolingTest, SamplesBeyond32BitsAreRefused) {
  const Pool large({65536, 65536, 1}, {2, 2, false}, Dtype::f32);
  EXPECT_EQ(error_text([&] { cuda_backend().make(large.forward("max_pool.evaluate", false)); }),
            "layer \"pool\": max_pool.evaluate: expected samples of at most 2147483648 elements on a cuda device, got 4294967296");
  const Pool long_one({1 << 30, 2, 1}, {2, 2, true}, Dtype::f32);
  for (Backend* backend : {&cuda_backend(), &cpu_backend()})
    EXPECT_EQ(error_text([&] { backend->make(long_one.forward("max_pool.evaluate", false)); }),
              "pooling: expected sizes of at most 536870911, got 1073741824");
}

}  // namespace
}  // namespace lockstep::test
