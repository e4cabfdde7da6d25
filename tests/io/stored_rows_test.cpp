#include <gtest/gtest.h>

#include <cstring>

#include "core/backend/cpu/register.h"
#include "core/tensor/float16.h"
#include "io/loader.h"
#include "tests/io/data_file.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::image_options;
using testing::TemporaryDirectory;
using testing::write_images;

constexpr std::int64_t kSamples = 60, kBatch = 24, kLanes = 4;

Value augmentation(const std::string& name, const Value& value) { return Value(Value::Data(Value::Table{{name, value}})); }
Value flip_horizontal() { return Value::text("flip_horizontal"); }
Value flip_vertical() { return Value::text("flip_vertical"); }
Value shift(std::int64_t pixels) { return augmentation("shift", Value::integer(pixels)); }

class StoredRowsTest : public ::testing::Test {
 protected:
  void load(DataScale scale) {
    const std::string file = folder_ / fmt::format("{}.h5", static_cast<int>(scale));
    write_images(file, Shape{kSamples, 6, 5, 3});
    DataOptions options = image_options();
    options.fields[0].scale = scale;
    data_ = Dataset::load(options, {file + ":/train"});
  }
  Loader loader(std::span<const AugmentStep> steps, Dtype activations, bool stored, LaneSpan lanes = {0, kLanes}) const {
    return {data_,
            Sampler(kSamples, SampleOrder::shuffled, 3),
            steps,
            {.seed = 3,
             .global_batch = kBatch,
             .lane_rows = kBatch / kLanes,
             .lanes = lanes,
             .fields = data_.batch_fields(activations),
             .stored = stored}};
  }

  /// The first field's rows, by "input.prepare" of the host.
  static std::vector<std::byte> prepared(const BatchSlot& slot, Dtype dtype) {
    const StoredRows& stored = slot.stored[0];
    const Shape whole = stored.rows.spec.shape;
    const Shape sample = whole.rank() == 4 ? Shape{whole[1], whole[2], whole[3]} : Shape{whole[1]};
    const TensorSpec numbers{Shape{static_cast<std::int64_t>(stored.scale.size())}};
    const OpSpec op{.op = "input.prepare",
                    .reads = {{Role::input, {sample, Dtype::u8}},
                              {Role::input, {Shape{8}, Dtype::i32}},
                              {Role::parameter, numbers},
                              {Role::parameter, numbers}},
                    .writes = {{Role::output, {sample, dtype}}}};
    std::vector<std::byte> out(op.writes[0].spec.bytes() * static_cast<std::size_t>(slot.rows));
    const void* reads[] = {stored.rows.data, stored.moves, stored.scale.data(), stored.offset.data()};
    void* writes[] = {out.data()};
    cpu::kernels().find(op.op)->second(op)->run({.reads = reads, .writes = writes, .rows = slot.rows});
    return out;
  }
  static std::vector<std::byte> given(const BatchSlot& slot, std::size_t field) {
    const ConstTensorView& view = slot.inputs[field];
    const std::size_t bytes = view.spec.bytes() / static_cast<std::size_t>(view.spec.shape[0]) * static_cast<std::size_t>(slot.rows);
    return {view.as<std::byte>(), view.as<std::byte>() + bytes};
  }

  TemporaryDirectory folder_;
  Dataset data_;
};

TEST_F(StoredRowsTest, PreparedRowsHaveTheBitsOfTheLoaders) {
  const std::vector<std::vector<Value>> lists = {
      {},
      {flip_horizontal()},
      {flip_vertical()},
      {shift(2)},
      {shift(9)},
      {flip_horizontal(), shift(2)},
      {shift(2), flip_horizontal(), flip_vertical()},
      // What the first pushes out, the last would bring back.
      {shift(3), flip_vertical(), shift(3), flip_horizontal(), shift(4)},
  };
  for (const DataScale scale : {DataScale::none, DataScale::unit, DataScale::standardize}) {
    load(scale);
    for (std::size_t list = 0; list < lists.size(); ++list)
      for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
        SCOPED_TRACE(::testing::Message() << "scale " << static_cast<int>(scale) << ", list " << list << ", " << name_of(dtype));
        const auto steps = make_augmentations(lists[list]);
        Loader device = loader(steps, dtype, true, {1, 4}), host = loader(steps, dtype, false, {1, 4});
        for (const BatchPosition& position : {BatchPosition{0, 0, 24}, BatchPosition{0, 24, 24}, BatchPosition{3, 48, 12}}) {
          const BatchSlot &stored = device.batch(position, {}), &ready = host.batch(position, {});
          ASSERT_EQ(stored.stored.size(), 2u);
          ASSERT_NE(stored.stored[0].rows.data, nullptr);
          EXPECT_EQ(stored.inputs[0].data, nullptr);
          EXPECT_EQ(stored.stored[0].moves != nullptr, !steps.empty());
          EXPECT_EQ(prepared(stored, dtype), given(ready, 0));
          // Labels stay where they were.
          EXPECT_EQ(stored.stored[1].rows.data, nullptr);
          EXPECT_EQ(given(stored, 1), given(ready, 1));
          EXPECT_TRUE(ready.stored.empty());
        }
      }
  }
}

TEST_F(StoredRowsTest, APlainFieldIsStoredToo) {
  write_images(folder_ / "a.h5", Shape{kSamples, 12});
  DataOptions options = image_options();
  options.fields[0].layout = DataLayout::plain;
  options.fields[0].scale = DataScale::standardize;
  data_ = Dataset::load(options, {(folder_ / "a.h5") + ":/train"});
  Loader device = loader({}, Dtype::f32, true), host = loader({}, Dtype::f32, false);
  EXPECT_EQ(prepared(device.batch({0, 0, 24}, {}), Dtype::f32), given(host.batch({0, 0, 24}, {}), 0));
}

/// Changes pixels otherwise than by moving them.
class Invert final : public Augmentation {
 public:
  void apply(const AugmentImage& image, const AugmentRandom&) const override {
    for (std::int64_t i = 0; i < image.height * image.width * image.channels; ++i) image.values[i] = -image.values[i];
  }
};

TEST_F(StoredRowsTest, WhatDoesMoreThanMoveIsPreparedOnTheHost) {
  load(DataScale::unit);
  std::vector<AugmentStep> steps = make_augmentations(std::vector<Value>{shift(2)});
  steps.push_back({std::make_unique<Invert>(), "invert"});
  Loader device = loader(steps, Dtype::f32, true), host = loader(steps, Dtype::f32, false);
  const BatchSlot& slot = device.batch({0, 0, 24}, {});
  EXPECT_EQ(slot.stored[0].rows.data, nullptr);
  EXPECT_EQ(given(slot, 0), given(host.batch({0, 0, 24}, {}), 0));
}

TEST_F(StoredRowsTest, FloatsArePreparedOnTheHost) {
  Hdf5File file = Hdf5File::create(folder_ / "f.h5", Hdf5Format::v18);
  const std::vector<double> values(static_cast<std::size_t>(kSamples * 4), 0.25);
  file.root().create_dataset("images", Dtype::f32, Shape{kSamples, 4}).write(values.data(), Dtype::f64);
  const std::vector<std::int64_t> labels(static_cast<std::size_t>(kSamples), 1);
  file.root().create_dataset("labels", Dtype::i64, Shape{kSamples}).write(labels.data(), Dtype::i64);
  file.close();
  DataOptions options = image_options();
  options.fields[0].layout = DataLayout::plain;
  data_ = Dataset::load(options, {(folder_ / "f.h5") + ":/"});
  Loader device = loader({}, Dtype::f32, true);
  const BatchSlot& slot = device.batch({0, 0, 24}, {});
  EXPECT_EQ(slot.stored[0].rows.data, nullptr);
  EXPECT_EQ(slot.inputs[0].as<float>()[0], 0.25f);
}

TEST_F(StoredRowsTest, HalvesAreRoundedOnce) {
  load(DataScale::standardize);
  const auto steps = make_augmentations(std::vector<Value>{shift(1)});
  Loader half = loader(steps, Dtype::f16, false), single = loader(steps, Dtype::f32, false);
  const BatchSlot &narrow = half.batch({0, 0, 24}, {}), &wide = single.batch({0, 0, 24}, {});
  for (std::int64_t i = 0; i < 24 * 90; ++i)
    ASSERT_EQ(narrow.inputs[0].as<Float16>()[i].bits, to_float16(wide.inputs[0].as<float>()[i]).bits) << i;
}

TEST_F(StoredRowsTest, ARankWithoutRowsHasNone) {
  load(DataScale::unit);
  const auto steps = make_augmentations(std::vector<Value>{shift(1)});
  Loader late = loader(steps, Dtype::f32, true, {2, 4});
  EXPECT_EQ(late.batch({0, 0, 5}, {}).rows, 0);
}

}  // namespace
}  // namespace lockstep
