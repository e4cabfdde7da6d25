#include "launch/model_setup.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/options.h"

namespace lockstep {
namespace {

std::unique_ptr<Backend> cpu() {
  Value table{Value::Data(Value::Table{})};
  table.set("cpu", Value::boolean(true));
  return make_plug_in<Backend>(table);
}

TEST(ModelSetupTest, AutoTakesWhatTheDeviceTakesFirst) {
  const auto backend = cpu();
  EXPECT_EQ(choose_precision({}, *backend), backend->precisions().front());
  for (const Precision precision : {Precision::f32, Precision::bf16}) EXPECT_EQ(choose_precision({.precision = precision}, *backend), precision);
}

TEST(ModelSetupTest, APrecisionThatTheDeviceLacksIsRefused) {
  for (const Precision precision : {Precision::tf32, Precision::f16}) {
    try {
      choose_precision({.precision = precision}, *cpu());
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::run_file);
      EXPECT_EQ(std::string(error.what()), "run.precision: the cpu engine computes f32 and bf16, got \"" + std::string(name_of(precision)) + "\"");
    }
  }
}

TEST(ModelSetupTest, AModelTrainedElsewhereIsMeasuredInWhatTheDeviceHas) {
  const auto backend = cpu();
  EXPECT_EQ(measuring_precision({.precision = Precision::f16}, *backend), Precision::f32);
  EXPECT_EQ(measuring_precision({}, *backend), backend->precisions().front());
  EXPECT_EQ(measuring_precision({.precision = Precision::bf16}, *backend), Precision::bf16);
}

TEST(ModelSetupTest, TheLossIsScaledInF16AloneUnlessTheRunFileSaysSo) {
  for (const Precision precision : {Precision::f32, Precision::tf32, Precision::bf16}) {
    const LossScaling scaling = choose_loss_scaling({}, precision);
    EXPECT_FALSE(scaling.dynamic());
    EXPECT_EQ(scaling.initial, 1);
  }
  const LossScaling half = choose_loss_scaling({}, Precision::f16);
  EXPECT_EQ(half.initial, 65536);
  EXPECT_EQ(half.growth_steps, 2000);
  TrainOptions given;
  given.loss_scaling = LossScaling{.initial = 512};
  EXPECT_EQ(choose_loss_scaling(given, Precision::f16).initial, 512);
  EXPECT_FALSE(choose_loss_scaling(given, Precision::f16).dynamic());
}

}  // namespace
}  // namespace lockstep
