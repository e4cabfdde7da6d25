#include <gtest/gtest.h>

#include <cstring>

#include "core/backend/pixel_move.h"
#include "core/backend/prepared_image.h"
#include "tests/core/backend/cuda/op_twin.h"
#include "tests/support/device_case.h"
#include "tests/support/error_text.h"

namespace lockstep::test {
namespace {

OpSpec prepare(const Shape& shape, Dtype dtype, std::int64_t numbers) {
  const TensorSpec scale{Shape{numbers}};
  return {.op = "input.prepare",
          .layer = "input",
          .reads = {{Role::input, {shape, Dtype::u8}},
                    {Role::input, {Shape{static_cast<std::int64_t>(sizeof(PixelMove) / sizeof(std::int32_t))}, Dtype::i32}},
                    {Role::parameter, scale},
                    {Role::parameter, scale}},
          .writes = {{Role::output, {shape, dtype}}}};
}

Bytes random_bytes(std::int64_t count, std::uint64_t stream) {
  Bytes result(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = static_cast<std::byte>(Philox::draw(i, stream, 5).w[0]);
  return result;
}
/// Numbers whose products round.
Bytes odd_numbers(std::int64_t count, float first) {
  std::vector<float> result;
  for (std::int64_t i = 0; i < count; ++i) result.push_back(first / static_cast<float>(3 + i));
  return as_bytes(result, Dtype::f32);
}
Bytes random_moves(std::int64_t rows, std::int32_t height, std::int32_t width) {
  std::vector<PixelMove> moves(static_cast<std::size_t>(rows));
  for (std::size_t i = 1; i < moves.size(); ++i)  // the first stays
    for (std::uint32_t k = 0; k < 4; ++k) {
      const Philox::Words draw = Philox::draw(i, k, 11);
      const auto distance = [](std::uint32_t word) { return static_cast<std::int32_t>(word % 7) - 3; };
      if (draw.w[0] % 2) moves[i].vertical.then_flip(height);
      if (draw.w[0] % 3 == 0) moves[i].horizontal.then_flip(width);
      moves[i].vertical.then_shift(distance(draw.w[1]), height);
      moves[i].horizontal.then_shift(distance(draw.w[2]), width);
    }
  Bytes bytes(moves.size() * sizeof(PixelMove));
  std::memcpy(bytes.data(), moves.data(), bytes.size());
  return bytes;
}

/// The host's result; f16 by way of f32.
Bytes expected(OpCall call, Dtype dtype) {
  if (dtype != Dtype::f16) return call.on_cpu()[0];
  call.op.writes[0].spec.dtype = Dtype::f32;
  call.writes[0].resize(call.writes[0].size() * 2);
  return as_bytes(as_floats(call.on_cpu()[0], Dtype::f32), Dtype::f16);
}

TEST(CudaInputPrepareTest, EqualsTheCpuBitForBit) {
  const std::int64_t rows = 9;
  for (const Shape& shape :
       {Shape{4, 6, 8}, Shape{5, 7, 3}, Shape{8, 3, 1}, Shape{1, 1, 1}, Shape{2, 2, 2}, Shape{9, 5, 16}, Shape{2, 4, 20}})
    for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16})
      for (const bool moved : {false, true})
        for (const std::int64_t numbers : {std::int64_t{1}, shape[2]}) {
          SCOPED_TRACE(testing::Message() << shape.text() << " " << name_of(dtype) << ", moved " << moved << ", numbers " << numbers);
          OpCall call{prepare(shape, dtype, numbers),
                      rows,
                      {random_bytes(rows * shape.elements(), 1), {}, odd_numbers(numbers, 1.0f), odd_numbers(numbers, -97.0f)},
                      {Bytes(static_cast<std::size_t>(rows * shape.elements()) * size_of(dtype), std::byte{0xFF})}};
          if (moved) call.reads[1] = random_moves(rows, static_cast<std::int32_t>(shape[0]), static_cast<std::int32_t>(shape[1]));
          const Bytes wanted = expected(call, dtype);
          EXPECT_EQ(call.on_cuda()[0], wanted);
          EXPECT_EQ(call.on_cuda(1)[0], wanted) << "unaligned";
        }
}

TEST(CudaInputPrepareTest, RowsThatAreNoImages) {
  for (const Shape& shape : {Shape{784}, Shape{5}, Shape{}, Shape{3, 4}})
    for (const std::int64_t numbers : {std::int64_t{1}, shape.rank() ? shape[shape.rank() - 1] : 1}) {
      SCOPED_TRACE(testing::Message() << shape.text() << ", numbers " << numbers);
      const OpCall call{prepare(shape, Dtype::f32, numbers),
                        2,
                        {random_bytes(2 * shape.elements(), 2), {}, odd_numbers(numbers, 1.0f), odd_numbers(numbers, -9.0f)},
                        {Bytes(static_cast<std::size_t>(2 * shape.elements()) * 4, std::byte{0xFF})}};
      EXPECT_EQ(call.on_cuda(), call.on_cpu());
    }
}

TEST(CudaInputPrepareTest, MovesAndScalesAsSaid) {
  PixelMove move;
  move.horizontal.then_shift(1, 3);
  Bytes moves(sizeof move);
  std::memcpy(moves.data(), &move, sizeof move);
  const Bytes stored{std::byte{10}, std::byte{20}, std::byte{30}};
  const OpCall call{
      prepare(Shape{1, 3, 1}, Dtype::f32, 1), 1, {stored, moves, as_bytes({0.5f}, Dtype::f32), as_bytes({-4.0f}, Dtype::f32)}, {Bytes(12)}};
  for (const std::vector<Bytes>& result : {call.on_cuda(), call.on_cpu()})
    EXPECT_EQ(as_floats(result[0], Dtype::f32), (std::vector<float>{-2.0f, 3.0f, 8.0f}));
}

TEST(CudaInputPrepareTest, ScalesThatDoNotFitAreAnInvariant) {
  EXPECT_EQ(error_text([] { PreparedImage image(prepare(Shape{2, 2, 3}, Dtype::f32, 2)); }), "input.prepare: 2 scales for 3 channels");
}

}  // namespace
}  // namespace lockstep::test
