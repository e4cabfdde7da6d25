#include "core/backend/cuda/weights.h"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"

namespace lockstep::cuda {
namespace {

/// Device memory of the runtime that the test is linked with.
class OnDevice {
 public:
  explicit OnDevice(std::size_t bytes) : bytes_(bytes) { EXPECT_EQ(cudaMalloc(&memory_, bytes + 64), cudaSuccess); }
  template <class T>
  explicit OnDevice(const std::vector<T>& values) : OnDevice(values.size() * sizeof(T)) {
    if (bytes_ == 0) return;
    EXPECT_EQ(cudaMemcpy(memory_, values.data(), bytes_, cudaMemcpyHostToDevice), cudaSuccess);
  }
  ~OnDevice() { cudaFree(memory_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(memory_);
  }
  template <class T>
  std::vector<T> values() const {
    std::vector<T> read(bytes_ / sizeof(T));
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    if (bytes_ == 0) return read;
    EXPECT_EQ(cudaMemcpy(read.data(), memory_, bytes_, cudaMemcpyDeviceToHost), cudaSuccess);
    return read;
  }

 private:
  void* memory_ = nullptr;
  std::size_t bytes_;
};

struct Stream {
  Stream() { EXPECT_EQ(cudaStreamCreateWithFlags(&native, cudaStreamNonBlocking), cudaSuccess); }
  ~Stream() { cudaStreamDestroy(native); }
  StreamView view() const { return {native}; }
  cudaStream_t native = nullptr;
};

std::vector<float> numbers(std::int64_t count) {
  std::vector<float> made;
  for (std::int64_t i = 0; i < count; ++i) made.push_back(static_cast<float>((i * 37) % 101 - 50) / 7.0f);
  return made;
}

const FilterShape kShapes[] = {{1, 1, 1}, {3, 5, 9}, {64, 3, 49}, {7, 300, 1}, {2, 33, 25}, {10, 128, 1}};

TEST(WeightsTest, FiltersArePackedWithChannelsLastAndRoundedOnce) {
  const Stream stream;
  for (const FilterShape& shape : kShapes) {
    const auto plain = numbers(shape.elements());
    const OnDevice from(plain), f32(plain.size() * 4), bf16(plain.size() * 2), f16(plain.size() * 2);
    pack_filters(shape, from.as<float>(), Dtype::f32, f32.as<void>(), stream.view());
    pack_filters(shape, from.as<float>(), Dtype::bf16, bf16.as<void>(), stream.view());
    pack_filters(shape, from.as<float>(), Dtype::f16, f16.as<void>(), stream.view());
    const auto a = f32.values<float>();
    const auto b = bf16.values<BFloat16>();
    const auto c = f16.values<Float16>();
    for (std::int64_t o = 0; o < shape.out; ++o)
      for (std::int64_t i = 0; i < shape.in; ++i)
        for (std::int64_t t = 0; t < shape.taps; ++t) {
          const float value = plain[static_cast<std::size_t>((o * shape.in + i) * shape.taps + t)];
          const auto at = static_cast<std::size_t>((o * shape.taps + t) * shape.in + i);
          ASSERT_EQ(a[at], value);
          ASSERT_EQ(b[at].bits, to_bfloat16(value).bits);
          ASSERT_EQ(c[at].bits, to_float16(value).bits);
        }
  }
}

TEST(WeightsTest, UnpackUndoesPack) {
  const Stream stream;
  for (const FilterShape& shape : kShapes) {
    const auto plain = numbers(shape.elements());
    const OnDevice from(plain), packed(plain.size() * 4), back(plain.size() * 4);
    pack_filters(shape, from.as<float>(), Dtype::f32, packed.as<void>(), stream.view());
    unpack_filters(shape, packed.as<float>(), back.as<float>(), stream.view());
    ASSERT_EQ(back.values<float>(), plain);
  }
}

TEST(WeightsTest, WideningIsExact) {
  const Stream stream;
  for (const std::int64_t count : {0, 1, 255, 257, 1000}) {
    std::vector<BFloat16> narrow;
    for (const float value : numbers(count)) narrow.push_back(to_bfloat16(value));
    const OnDevice from(narrow), to(narrow.size() * 4);
    widen_to_f32(count, Dtype::bf16, from.as<void>(), to.as<float>(), stream.view());
    const auto wide = to.values<float>();
    for (std::size_t i = 0; i < wide.size(); ++i) ASSERT_EQ(wide[i], to_float(narrow[i]));
  }
}

TEST(WeightsTest, ColumnSumsHoldEveryPositionOnce) {
  const Stream stream;
  const std::int64_t sizes[][2] = {{0, 3}, {1, 1}, {7, 10}, {1024, 33}, {1025, 32}, {5000, 3}, {2048, 64}};
  for (const auto& [positions, channels] : sizes) {
    const auto values = numbers(positions * channels);
    const OnDevice from(values), sums(static_cast<std::size_t>(channels) * 4), workspace(column_sums_workspace(positions, channels));
    column_sums(positions, channels, Dtype::f32, from.as<void>(), sums.as<float>(), workspace.as<std::byte>(), stream.view());
    const auto made = sums.values<float>();
    for (std::int64_t c = 0; c < channels; ++c) {
      double sum = 0, size = 0;
      for (std::int64_t p = 0; p < positions; ++p) {
        const double value = values[static_cast<std::size_t>(p * channels + c)];
        sum += value, size += std::abs(value);
      }
      EXPECT_NEAR(made[static_cast<std::size_t>(c)], sum, 1e-6 * size) << positions << "x" << channels;
    }
  }
}

/// Channel c of any tensor gives the bits of channel c alone: the order of a sum is a matter of its positions.
TEST(WeightsTest, ColumnSumsDoNotDependOnOtherChannels) {
  const Stream stream;
  const std::int64_t positions = 3000, channels = 70;
  const auto values = numbers(positions * channels);
  std::vector<float> last;
  for (std::int64_t p = 0; p < positions; ++p) last.push_back(values[static_cast<std::size_t>(p * channels + channels - 1)]);
  const OnDevice all(values), one(last), sums(static_cast<std::size_t>(channels) * 4), sum(4),
      workspace(column_sums_workspace(positions, channels));
  column_sums(positions, channels, Dtype::f32, all.as<void>(), sums.as<float>(), workspace.as<std::byte>(), stream.view());
  const float whole = sums.values<float>().back();
  column_sums(positions, 1, Dtype::f32, one.as<void>(), sum.as<float>(), workspace.as<std::byte>(), stream.view());
  EXPECT_EQ(sum.values<float>().front(), whole);
}

}  // namespace
}  // namespace lockstep::cuda
