#include "io/loader.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"
#include "tests/io/data_file.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::expect_error;
using testing::image_options;
using testing::TemporaryDirectory;
using testing::write_images;

constexpr std::int64_t kSamples = 37, kBatch = 16, kLanes = 8;

class LoaderTest : public ::testing::Test {
 protected:
  LoaderTest() {
    write_images(folder_ / "a.h5", Shape{kSamples, 4, 5, 2});
    DataOptions options = image_options();
    options.fields[0].scale = DataScale::standardize;
    data_ = Dataset::load(options, {(folder_ / "a.h5") + ":/train"});
    const Value::Array list{Value::text("flip_horizontal"), Value(Value::Data(Value::Table{{"shift", Value::integer(2)}}))};
    steps_ = make_augmentations(list);
  }

  LoaderOptions options(LaneSpan lanes, Dtype activations = Dtype::f32) const {
    return {.seed = 3, .global_batch = kBatch, .lane_rows = kBatch / kLanes, .lanes = lanes, .fields = data_.batch_fields(activations)};
  }
  Loader loader(LaneSpan lanes, Dtype activations = Dtype::f32) {
    return Loader(data_, Sampler(kSamples, SampleOrder::shuffled, 3), steps_, options(lanes, activations));
  }
  static BatchPosition position(std::int64_t epoch, std::int64_t first) { return {epoch, first, std::min(kBatch, kSamples - first)}; }

  /// The rows of all fields of a slot as bytes, field by field.
  static std::vector<std::string> rows_of(const BatchSlot& slot) {
    std::vector<std::string> result;
    for (const ConstTensorView& view : slot.inputs) {
      const std::size_t row = view.spec.bytes() / static_cast<std::size_t>(view.spec.shape[0]);
      result.emplace_back(view.as<char>(), row * static_cast<std::size_t>(slot.rows));
    }
    return result;
  }

  TemporaryDirectory folder_;
  Dataset data_;
  std::vector<AugmentStep> steps_;
};

TEST_F(LoaderTest, RowsOfAllRanksAreTheBatchOfOne) {
  for (const Dtype activations : {Dtype::f32, Dtype::bf16, Dtype::f16})
    for (const int ranks : {2, 3, 8})
      for (const std::int64_t first : {0, 16, 32}) {
        Loader whole = loader({0, kLanes}, activations);
        const auto expected = rows_of(whole.batch(position(1, first), {}));
        std::vector<std::string> joined(2);
        std::int64_t next_row = 0;
        for (int rank = 0; rank < ranks; ++rank) {
          const LaneSpan lanes{static_cast<int>(rank * kLanes / ranks), static_cast<int>((rank + 1) * kLanes / ranks)};
          Loader part = loader(lanes, activations);
          const BatchSlot& slot = part.batch(position(1, first), {});
          EXPECT_EQ(slot.first_row, next_row);
          next_row += slot.rows;
          const auto rows = rows_of(slot);
          for (std::size_t f = 0; f < 2; ++f) joined[f] += rows[f];
        }
        EXPECT_EQ(next_row, position(1, first).samples);
        EXPECT_EQ(joined, expected);
      }
}

TEST_F(LoaderTest, PreparedBatchesEqualDirectOnes) {
  Loader ahead = loader({2, 7}), direct = loader({2, 7});
  for (std::int64_t epoch = 0; epoch < 3; ++epoch)
    for (std::int64_t first = 0; first < kSamples; first += kBatch) {
      const bool last = first + kBatch >= kSamples;
      const BatchPosition next = last ? position(epoch + 1, 0) : position(epoch, first + kBatch);
      const auto rows = rows_of(ahead.batch(position(epoch, first), next));
      EXPECT_EQ(rows, rows_of(direct.batch(position(epoch, first), {}))) << epoch << " " << first;
    }
}

TEST_F(LoaderTest, ABatchOtherThanTheAnnouncedOneIsRight) {
  Loader jumping = loader({0, 8}), direct = loader({0, 8});
  jumping.batch(position(0, 0), position(0, 16));
  EXPECT_EQ(rows_of(jumping.batch(position(5, 32), {})), rows_of(direct.batch(position(5, 32), {})));
}

TEST_F(LoaderTest, SlotStaysValidWhileTheNextIsPrepared) {
  Loader ahead = loader({0, 8});
  const BatchSlot& slot = ahead.batch(position(0, 0), position(0, 16));
  const auto before = rows_of(slot);
  Loader other = loader({0, 8});
  EXPECT_EQ(before, rows_of(other.batch(position(0, 0), {})));
  EXPECT_EQ(before, rows_of(slot));
}

TEST_F(LoaderTest, ShortBatchesLeaveLateLanesEmpty) {
  Loader late = loader({4, 8});
  const BatchSlot& slot = late.batch(position(0, 32), {});
  EXPECT_EQ(slot.position.samples, 5);
  EXPECT_EQ(slot.rows, 0);
  Loader middle = loader({2, 4});
  EXPECT_EQ(middle.batch(position(0, 32), {}).rows, 1);
}

TEST_F(LoaderTest, ScalesByChannel) {
  Loader plain(data_, Sampler(kSamples, SampleOrder::as_stored, 0), {}, options({0, kLanes}));
  const BatchSlot& slot = plain.batch({0, 0, 2}, {});
  const Scaler scaler = data_.scalers()[0];
  for (std::size_t i = 0; i < 80; ++i) {
    const double expected = (static_cast<double>(i) - scaler.mean[i % 2]) / scaler.deviation[i % 2];
    EXPECT_NEAR(slot.inputs[0].as<float>()[i], expected, 1e-6) << i;
  }
  EXPECT_EQ(slot.inputs[1].as<std::int64_t>()[1], 1);
  Loader narrow(data_, Sampler(kSamples, SampleOrder::as_stored, 0), {}, options({0, kLanes}, Dtype::bf16));
  const BatchSlot& half = narrow.batch({0, 0, 2}, {});
  for (std::size_t i = 0; i < 80; ++i)
    EXPECT_EQ(half.inputs[0].as<BFloat16>()[i].bits, to_bfloat16(slot.inputs[0].as<float>()[i]).bits) << i;
  Loader halves(data_, Sampler(kSamples, SampleOrder::as_stored, 0), {}, options({0, kLanes}, Dtype::f16));
  const BatchSlot& sixteen = halves.batch({0, 0, 2}, {});
  for (std::size_t i = 0; i < 80; ++i)
    EXPECT_EQ(sixteen.inputs[0].as<Float16>()[i].bits, to_float16(slot.inputs[0].as<float>()[i]).bits) << i;
}

TEST_F(LoaderTest, TargetsStayWithTheirImages) {
  Loader shuffled(data_, Sampler(kSamples, SampleOrder::shuffled, 9), {}, options({0, kLanes}));
  const auto order = Sampler(kSamples, SampleOrder::shuffled, 9).order(2);
  const BatchSlot& slot = shuffled.batch(position(2, 16), {});
  for (std::int64_t row = 0; row < slot.rows; ++row)
    EXPECT_EQ(slot.inputs[1].as<std::int64_t>()[row], order[static_cast<std::size_t>(16 + row)] % 10);
}

class Failing final : public Augmentation {
 public:
  void apply(const AugmentImage&, const AugmentRandom& random) const override {
    if (random.position == 20) fail(ErrorKind::content, "sample 20 is bad");
  }
};

TEST_F(LoaderTest, AnErrorWhilePreparingSurfacesWithItsBatch) {
  std::vector<AugmentStep> failing;
  failing.push_back({std::make_unique<Failing>(), "failing"});
  Loader loader(data_, Sampler(kSamples, SampleOrder::as_stored, 0), failing, options({0, kLanes}));
  EXPECT_EQ(loader.batch(position(0, 0), position(0, 16)).rows, 16);
  expect_error(ErrorKind::content, "sample 20 is bad", [&] { loader.batch(position(0, 16), position(0, 32)); });
  EXPECT_EQ(loader.batch(position(0, 32), {}).rows, 5);
}

TEST_F(LoaderTest, FieldsThatDoNotFitTheModelAreNamed) {
  LoaderOptions wrong = options({0, kLanes});
  const auto load = [&] { Loader(data_, Sampler(kSamples, SampleOrder::as_stored, 0), {}, wrong); };
  wrong.fields[0].spec.shape = Shape{28, 28, 1};
  expect_error(ErrorKind::run_file, "[data] field \"input\": samples: expected [28, 28, 1], got [4, 5, 2] from \"images\"", load);
  wrong = options({0, kLanes});
  wrong.fields[1].spec.dtype = Dtype::f32;
  expect_error(ErrorKind::run_file, "[data] field \"target\": samples: expected f32, got integers (\"classes\" is given)", load);
  wrong = options({0, kLanes});
  wrong.fields[1].name = "targets";
  expect_error(ErrorKind::run_file, "no field feeds the model's input \"targets\"", load);
}

TEST_F(LoaderTest, PositionsOutsideTheEpochAreAnInvariant) {
  Loader whole = loader({0, kLanes});
  expect_error(ErrorKind::internal, "loader: positions [32, 48) of 37 samples", [&] { whole.batch({0, 32, 16}, {}); });
  expect_error(ErrorKind::internal, "a batch of 17 samples: expected at most 16", [&] { whole.batch({0, 0, 17}, {}); });
}

}  // namespace
}  // namespace lockstep
