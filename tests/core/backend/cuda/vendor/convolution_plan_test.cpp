// cuDNN's plans for GPUs that are described only: nothing here runs on a device. The test process finds a libcuda that
// refuses every call but loading what was compiled (core/backend/cuda/make_stand_in_driver.cmake), since without one cuDNN lists no engine that
// is compiled at run time.
#include "core/backend/cuda/vendor/convolution_plan.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/core/backend/cuda/vendor/described_gpu.h"

namespace lockstep::cuda {
namespace {

constexpr std::size_t kLimit = std::size_t{512} << 20;
constexpr ConvolutionPass kPasses[] = {ConvolutionPass::forward, ConvolutionPass::backward_data, ConvolutionPass::backward_weights};

struct Type {
  Dtype dtype;
  bool tf32;
};
constexpr Type kTypes[] = {{Dtype::f32, false}, {Dtype::f32, true}, {Dtype::bf16, false}, {Dtype::f16, false}};

PlanTarget target(int sm) { return {.handle = nullptr, .properties = test::described_gpu(sm).properties, .sm = sm}; }

/// Padding as conv2d's "same".
ConvolutionGeometry square(std::int64_t size, std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                           std::int64_t groups = 1) {
  const std::int64_t low = (kernel - 1) / 2, high = kernel / 2, made = (size + low + high - kernel) / stride + 1;
  return {.groups = groups, .in = in, .out = out, .input = {size, size}, .output = {made, made}, .kernel = {kernel, kernel},
          .stride = {stride, stride}, .pad_low = {low, low}, .pad_high = {high, high}};
}

const std::vector<ConvolutionGeometry> kFashion = {square(28, 1, 32, 3, 2),  square(14, 32, 32, 3, 1), square(14, 32, 64, 3, 2),
                                                   square(14, 32, 64, 1, 2), square(7, 64, 64, 3, 1),  square(7, 64, 128, 3, 2),
                                                   square(7, 64, 128, 1, 2), square(4, 128, 128, 3, 1)};
/// One of each kind: the stem, a wide and a deep 3x3, strided 3x3 and 1x1, both 1x1 of a bottleneck.
const std::vector<ConvolutionGeometry> kResNetKinds = {square(224, 3, 64, 7, 2), square(56, 64, 64, 3, 1),   square(56, 64, 128, 3, 2),
                                                       square(7, 512, 512, 3, 1), square(56, 256, 512, 1, 2), square(14, 1024, 256, 1, 1)};
/// The rest of ResNet-18 and ResNet-50 (v1.5).
const std::vector<ConvolutionGeometry> kResNetRest = {
    square(28, 128, 128, 3, 1),  square(56, 64, 128, 1, 2),   square(28, 128, 256, 3, 2),  square(14, 256, 256, 3, 1),
    square(28, 128, 256, 1, 2),  square(14, 256, 512, 3, 2),  square(14, 256, 512, 1, 2),  square(56, 64, 64, 1, 1),
    square(56, 64, 256, 1, 1),   square(56, 256, 64, 1, 1),   square(56, 256, 128, 1, 1),  square(56, 128, 128, 3, 2),
    square(28, 128, 512, 1, 1),  square(28, 512, 128, 1, 1),  square(28, 512, 256, 1, 1),  square(28, 256, 256, 3, 2),
    square(14, 256, 1024, 1, 1), square(28, 512, 1024, 1, 2), square(14, 1024, 512, 1, 1), square(14, 512, 512, 3, 2),
    square(7, 512, 2048, 1, 1),  square(14, 1024, 2048, 1, 2), square(7, 2048, 512, 1, 1)};

/// The first usable choice serves 256, 16 and 1 rows, and is what an engine of this type should be.
void expect_pinned(int sm, const ConvolutionProblem& problem) {
  const std::vector<std::int64_t> rows =
      problem.pass == ConvolutionPass::backward_weights ? std::vector<std::int64_t>{16, 1} : std::vector<std::int64_t>{256, 16, 1};
  const auto found = ConvolutionPlan::candidates(target(sm), problem, rows, kLimit, 1);
  ASSERT_EQ(found.size(), 1u) << problem.text();
  const EngineFacts& facts = found[0];
  EXPECT_FALSE(facts.nondeterministic || facts.reduced_precision || facts.transformed) << problem.text();
  EXPECT_LE(facts.workspace_bytes, kLimit) << problem.text();
  const bool true_f32 = problem.dtype == Dtype::f32 && !problem.tf32;
  EXPECT_FALSE(true_f32 && facts.tensor_cores) << problem.text() << " " << facts.name();
  // Stems, depthwise and odd channels have engines of their own; small products in tf32 and strided 1x1, which wait for
  // memory, do without tensor cores.
  const ConvolutionGeometry& g = problem.geometry;
  const bool whole = g.in % (problem.tf32 ? 64 : 8) == 0 && g.groups == 1 && !(g.kernel[0] == 1 && g.stride[0] > 1);
  EXPECT_TRUE(facts.tensor_cores || true_f32 || !whole) << problem.text() << " " << facts.name();
  EXPECT_FALSE(facts.runtime_compiled && whole) << problem.text() << " " << facts.name();
  for (const std::int64_t n : rows) {
    if (facts.runtime_compiled) break;  // seconds each: one is built below
    const auto plan = ConvolutionPlan::build(target(sm), problem, n, facts.choice);
    ASSERT_TRUE(plan) << problem.text() << " rows " << n;
    EXPECT_EQ(plan->facts().choice, facts.choice);
  }
}

void expect_all_pinned(int sm, const std::vector<ConvolutionGeometry>& shapes) {
  for (const ConvolutionGeometry& geometry : shapes)
    for (const Type& type : kTypes)
      for (const ConvolutionPass pass : kPasses)
        expect_pinned(sm, {.pass = pass, .geometry = geometry, .dtype = type.dtype, .tf32 = type.tf32});
}

TEST(ConvolutionPlanTest, EveryConvolutionOfTheFashionRecipeHasOnePinnedEngineOnAnH200) { expect_all_pinned(90, kFashion); }

TEST(ConvolutionPlanTest, EveryKindOfConvolutionOfResNetsHasOnePinnedEngineOnAnH200) { expect_all_pinned(90, kResNetKinds); }

TEST(ConvolutionPlanTest, TheFashionRecipeHasPinnedEnginesOnAnA100) { expect_all_pinned(80, {kFashion[0], kFashion[1], kFashion[3]}); }

TEST(ConvolutionPlanTest, TheRestOfResNet18AndResNet50HasOnePinnedEngineOnAnH200) { expect_all_pinned(90, kResNetRest); }

TEST(ConvolutionPlanTest, EveryKindOfConvolutionOfResNetsHasOnePinnedEngineOnAnA100) { expect_all_pinned(80, kResNetKinds); }

TEST(ConvolutionPlanTest, ABiasIsAddedByTheSameEngine) {
  for (const Type& type : kTypes) {
    ConvolutionProblem problem{.geometry = square(14, 32, 64, 3, 1), .dtype = type.dtype, .tf32 = type.tf32};
    problem.geometry.bias = true;
    expect_pinned(90, problem);
  }
}

TEST(ConvolutionPlanTest, GroupsAndUnevenPaddingAreServed) {
  for (const ConvolutionPass pass : kPasses) {
    expect_pinned(90, {.pass = pass, .geometry = square(8, 32, 32, 3, 1, 32), .dtype = Dtype::bf16});
    expect_pinned(90, {.pass = pass, .geometry = square(9, 24, 40, 4, 2), .dtype = Dtype::f32});
    expect_pinned(90, {.pass = pass, .geometry = square(9, 5, 7, 3, 1), .dtype = Dtype::f16});
  }
}

TEST(ConvolutionPlanTest, WeightGradientsOf16BitsAreCompiledToComeOutInF32) {
  for (const Dtype dtype : {Dtype::bf16, Dtype::f16}) {
    const ConvolutionProblem problem{
        .pass = ConvolutionPass::backward_weights, .geometry = square(7, 64, 64, 3, 1), .dtype = dtype, .wide = true};
    const auto found = ConvolutionPlan::candidates(target(90), problem, {16, 1}, kLimit, 1);
    ASSERT_EQ(found.size(), 1u) << problem.text();
    EXPECT_TRUE(found[0].runtime_compiled && found[0].tensor_cores);
    const bool built = dtype == Dtype::f16 || ConvolutionPlan::build(target(90), problem, 16, found[0].choice);
    EXPECT_TRUE(built);
  }
}

TEST(ConvolutionPlanTest, APlanSurvivesSerialisationAndDamageIsNoticed) {
  const ConvolutionProblem problem{.geometry = square(14, 32, 32, 3, 1), .dtype = Dtype::bf16};
  const auto found = ConvolutionPlan::candidates(target(90), problem, {16}, kLimit, 1);
  ASSERT_EQ(found.size(), 1u);
  const auto plan = ConvolutionPlan::build(target(90), problem, 16, found[0].choice);
  ASSERT_TRUE(plan);
  std::vector<std::uint8_t> bytes = plan->bytes();
  std::string why;
  const auto again = ConvolutionPlan::load(target(90), found[0], bytes, why);
  ASSERT_TRUE(again) << why;
  EXPECT_EQ(again->bytes().size(), bytes.size());
  const auto refused = [&](int sm, const std::vector<std::uint8_t>& damaged) {
    why.clear();
    EXPECT_FALSE(ConvolutionPlan::load(target(sm), found[0], damaged, why));
    EXPECT_FALSE(why.empty());
    EXPECT_EQ(why.find('\n'), std::string::npos);
  };
  refused(90, {bytes.begin(), bytes.begin() + 100});
  refused(90, {});
  refused(80, bytes);
}

TEST(ConvolutionPlanTest, AnEngineThatDoesNotFitIsRefused) {
  const ConvolutionProblem problem{.geometry = square(14, 32, 32, 3, 1), .dtype = Dtype::bf16};
  EXPECT_FALSE(ConvolutionPlan::usable(target(90), problem, {16}, kLimit, {.engine = 9999}));
  EXPECT_FALSE(ConvolutionPlan::usable(target(90), problem, {16}, kLimit, {.engine = 0, .knobs = {{11, 77777}}}));
  EXPECT_FALSE(ConvolutionPlan::build(target(90), problem, 16, {.engine = 9999}));
}

TEST(ConvolutionPlanTest, AnImpossibleConvolutionIsOneLine) {
  ConvolutionProblem problem{.geometry = square(14, 32, 32, 3, 1)};
  problem.geometry.output = {99, 99};
  try {
    ConvolutionPlan::candidates(target(90), problem, {16}, kLimit, 1);
    FAIL();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.rfind("cuda: cudnn: forward f32 ", 0), 0u) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
}

TEST(EngineChoiceTest, TextAndBack) {
  const EngineChoice choice{.engine = 62, .knobs = {{11, 1}, {24, -3}}};
  EXPECT_EQ(choice.text(), "62:11=1,24=-3");
  EXPECT_EQ(EngineChoice::parse("62:11=1,24=-3"), choice);
  EXPECT_EQ(EngineChoice::parse("0"), EngineChoice{.engine = 0});
  for (const char* wrong : {"", "x", "62:", "62:11", "62:11=", "62:11=1,", "62 ", "62:11=1;24=3"}) EXPECT_THROW(EngineChoice::parse(wrong), Error) << wrong;
}

}  // namespace
}  // namespace lockstep::cuda
