#include "io/data_options.h"

#include <gtest/gtest.h>

#include "launch/run_file.h"
#include "tests/io/data_file.h"

namespace lockstep {
namespace {

using testing::expect_error;

DataOptions read(const std::string& text) { return read_data_options(parse_run_text(text, "run.toml"), "/data"); }

TEST(DataOptionsTest, ReadsTheTable) {
  const DataOptions options = read(R"(
train        = "fashion.h5:/train"
validation   = ["fashion.h5:/test"]
input        = { dataset = "images", layout = "NCHW", scale = "standardize" }
target       = { dataset = "labels", classes = 10 }
augment      = ["flip_horizontal", { shift = 2 }]
global_batch = 256
memory       = "1.5 GiB"
)");
  EXPECT_EQ(options.train, std::vector<std::string>{"fashion.h5:/train"});
  EXPECT_EQ(options.validation, std::vector<std::string>{"fashion.h5:/test"});
  EXPECT_EQ(options.folder, "/data");
  ASSERT_EQ(options.fields.size(), 2u);
  EXPECT_EQ(options.fields[0].name, "input");
  EXPECT_EQ(options.fields[0].layout, DataLayout::nchw);
  EXPECT_EQ(options.fields[0].scale, DataScale::standardize);
  EXPECT_EQ(options.fields[1].name, "target");
  EXPECT_EQ(options.fields[1].classes, 10);
  EXPECT_TRUE(options.fields[1].target);
  EXPECT_EQ(options.augment.size(), 2u);
  EXPECT_EQ(options.global_batch, 256);
  EXPECT_EQ(options.memory_bytes, 1610612736);
}

TEST(DataOptionsTest, ReadsSeveralInputs) {
  const DataOptions options = read(R"(
train = "a.h5"
inputs = [{ name = "image", dataset = "x" }, { name = "table", dataset = "t", layout = "plain" }]
target = { dataset = "y" }
global_batch = 8
)");
  ASSERT_EQ(options.fields.size(), 3u);
  EXPECT_EQ(options.fields[1].name, "table");
  EXPECT_EQ(options.fields[1].layout, DataLayout::plain);
  EXPECT_GT(options.memory_bytes, 0);
}

TEST(DataOptionsTest, ReadsWhatTheFileMustHoldAndFixedScales) {
  const DataOptions options = read(R"(
train = "a.h5"
input = { dataset = "x", shape = [224, 224, 3], dtype = "u8", scale = { mean = [0.5, 0.4, 0.3], std = [0.25, 1, 2] } }
target = { dataset = "y", shape = [] }
global_batch = 8
)");
  EXPECT_EQ(options.fields[0].shape, (Shape{224, 224, 3}));
  EXPECT_EQ(options.fields[0].type, StoredType::u8);
  EXPECT_EQ(options.fields[0].scale, DataScale::given);
  EXPECT_EQ(options.fields[0].mean, (std::vector<double>{0.5, 0.4, 0.3}));
  EXPECT_EQ(options.fields[0].std, (std::vector<double>{0.25, 1, 2}));
  EXPECT_EQ(options.fields[1].shape, Shape{});
  EXPECT_FALSE(options.fields[1].type);
}

TEST(DataOptionsTest, MistakesAreNamedWithTheirPlace) {
  const auto refuse = [](const std::string& text, const std::string& part) {
    expect_error(ErrorKind::run_file, part, [&] { read("train = \"a.h5\"\nglobal_batch = 8\n" + text); });
  };
  refuse("target = { dataset = \"y\" }", "\"input\" is missing: expected a table such as { dataset = \"images\" }");
  refuse("input = { dataset = \"x\", layout = \"NWHC\" }", "\"layout\": unknown value \"NWHC\"; known: NHWC, NCHW, plain");
  refuse("input = { dataset = \"x\", scale = \"unit\", classes = 5 }", "\"scale\": integers (classes = 5) are not scaled");
  refuse("input = { dataset = \"x\" }\ninputs = []", "both \"input\" and \"inputs\"");
  refuse("input = { dataset = \"x\" }\nmemory = \"8 GB\"",
         "run.toml:4:1: [data]: \"memory\": expected a size such as \"8 GiB\" or \"512 MiB\", got \"8 GB\"");
  refuse("inputs = [{ name = \"a\", dataset = \"x\" }, { name = \"a\", dataset = \"y\" }]", "two fields are named \"a\"");
  refuse("input = { dataset = \"x\", shape = [3, 0] }", "\"shape\": expected positive integers, got 0");
  refuse("input = { dataset = \"x\", shape = [1, 1, 1, 1, 1, 1, 1, 1] }", "\"shape\": expected at most 7 axes, got 8");
  refuse("input = { dataset = \"x\", dtype = \"bf16\" }", "\"dtype\": unknown value \"bf16\"; known: u8,");
  refuse("input = { dataset = \"x\", scale = { mean = [1, 2], std = [1] } }",
         "\"mean\" and \"std\": expected one number each, or one a channel, got 2 and 1");
  refuse("input = { dataset = \"x\", scale = { mean = [1], std = [0] } }", "\"std\": expected positive numbers, got 0");
  refuse("inputs = \"x\"", "\"inputs\": expected a list of tables, got \"x\"");
  refuse("input = { dataset = \"x\" }\nshufle = true", "shufle");
}

}  // namespace
}  // namespace lockstep
