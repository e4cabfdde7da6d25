#include "launch/run_file.h"

#include <cstdio>
#include <fstream>

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace lockstep {
namespace {

std::string message_of(const auto& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string parse_error(const std::string& text) {
  return message_of([&] { parse_run_text(text, "run.toml"); });
}

std::string override_error(const std::string& text, const std::string& override_text) {
  return message_of([&] {
    Value root = parse_run_text(text, "run.toml");
    apply_override(root, override_text);
  });
}

std::string overridden(const std::string& text, const std::string& override_text) {
  Value root = parse_run_text(text, "run.toml");
  apply_override(root, override_text);
  return root.describe();
}

TEST(RunFileTest, KeepsTypesAndPlaces) {
  const Value root = parse_run_text("[run]\nseed = 7\nx = 1.5\nflag = true\nlist = [\n  \"a\",\n  { b = 2 },\n]\n", "run.toml");
  const Value* run = root.find("run");
  ASSERT_NE(run, nullptr);
  EXPECT_EQ(run->place().text(), "run.toml:1:2");
  EXPECT_EQ(run->find("seed")->place().text(), "run.toml:2:1");
  EXPECT_TRUE(run->find("seed")->is_integer());
  EXPECT_EQ(run->find("x")->describe(), "1.5");
  EXPECT_EQ(run->find("flag")->describe(), "true");
  EXPECT_EQ(run->find("list")->as_array()[1].place().text(), "run.toml:7:3");
  EXPECT_EQ(run->find("list")->as_array()[1].find("b")->place().text(), "run.toml:7:5");
}

TEST(RunFileTest, InlineTablesTakeNoTrailingComma) {
  EXPECT_EQ(parse_error("a = 1\nb = { c = 2, }\n"),
            "run.toml:2:14: an inline table { ... } takes no comma before its \"}\" (TOML 1.0): remove the comma");
}

TEST(RunFileTest, InlineTablesTakeNoLineBreak) {
  const std::string expected = "an inline table { ... } takes no line break (TOML 1.0): write it on one line, or use a [section]";
  EXPECT_EQ(parse_error("a = {\n b = 1 }\n"), "run.toml:1:6: " + expected);
  EXPECT_EQ(parse_error("a = { b = 1, # why\n c = 2 }\n"), "run.toml:1:14: " + expected);
}

TEST(RunFileTest, OtherMistakesNameTheirPlace) {
  EXPECT_EQ(parse_error("a = 1\na = 2\n"), "run.toml:2:5: Error while parsing key-value pair: cannot redefine existing integer 'a'");
  EXPECT_EQ(parse_error("a = 2020-01-01\n"), "run.toml:1:1: dates and times are not used in run files: write them as a string");
}

TEST(RunFileTest, AMissingFileIsNamed) {
  EXPECT_EQ(message_of([] { read_run_file("no/such.toml"); }), "run file \"no/such.toml\": cannot be opened: No such file or directory");
}

TEST(RunFileTest, ADirectoryIsNoRunFile) {
  EXPECT_EQ(message_of([] { read_run_file("/"); }), "run file \"/\": cannot be read: Is a directory");
}

TEST(RunFileTest, AHugeFileIsRefused) {
  const std::string path = testing::TempDir() + "huge.toml";
  std::ofstream(path) << std::string((std::size_t{16} << 20) + 1, '\n');
  EXPECT_EQ(message_of([&] { read_run_file(path); }), "run file \"" + path + "\": expected at most 16777216 bytes");
  std::remove(path.c_str());
}

TEST(RunFileTest, OverridesTakeTomlOrPlainText) {
  EXPECT_EQ(overridden("[train]\nepochs = 3\n", "train.epochs=5"), "{ train = { epochs = 5 } }");
  EXPECT_EQ(overridden("", "run.directory=runs/a=b"), "{ run = { directory = \"runs/a=b\" } }");
  EXPECT_EQ(overridden("", "run.directory=2024-01-01"), "{ run = { directory = \"2024-01-01\" } }");
  EXPECT_EQ(overridden("", "data.train=[\"a.h5\", \"b.h5\"]"), "{ data = { train = [\"a.h5\", \"b.h5\"] } }");
  EXPECT_EQ(overridden("", "train.x=1\nb = 2"), "{ train = { x = \"1\\nb = 2\" } }");
  EXPECT_EQ(overridden("", "model.defaults.\"a.b\"=1"), "{ model = { defaults = { \"a.b\" = 1 } } }");
}

TEST(RunFileTest, OverridesCarryTheCommandLineAsPlace) {
  Value root = parse_run_text("", "run.toml");
  apply_override(root, "train.loss={ a = [1, 2] }");
  EXPECT_EQ(root.find("train")->find("loss")->find("a")->as_array()[1].place().text(), "command line");
}

TEST(RunFileTest, OverridesAddressLayersByName) {
  const std::string text = "[model]\nlayers = [\"relu\", { residual = [{ dense = 4, name = \"head\" }] }]\n";
  EXPECT_EQ(overridden(text, "model.head.dense=20"),
            "{ model = { layers = [\"relu\", { residual = [{ dense = 20, name = \"head\" }] }] } }");
  EXPECT_EQ(override_error(text, "model.haed.dense=20"),
            "command line: \"model.haed.dense\": [model] has no such key, and no layer is named \"haed\"; did you mean \"head\"?");
  EXPECT_EQ(override_error("[model]\nlayers = [{ a = 1, name = \"x\" }, { b = 1, name = \"x\" }]\n", "model.x.a=2"),
            "command line: \"model.x.a\": 2 layers are named \"x\": expected one");
}

TEST(RunFileTest, OverridesReachIntoPlugInsWrittenAsStrings) {
  EXPECT_EQ(overridden("[train]\nloss = \"cross_entropy\"\n", "train.loss.label_smoothing=0.1"),
            "{ train = { loss = { cross_entropy = true, label_smoothing = 0.1 } } }");
}

TEST(RunFileTest, OverridesThatMakeNoSenseAreRefused) {
  EXPECT_EQ(override_error("", "train.epochs"), "command line: override \"train.epochs\": expected section.key=value");
  EXPECT_EQ(override_error("", "train..epochs=1"), "command line: override \"train..epochs=1\": expected section.key=value");
  EXPECT_EQ(override_error("[run]\nseed = 1\n", "run.seed.x=1"), "command line: \"run.seed.x\": \"run.seed\" is 1, not a table");
}

TEST(RunFileTest, WritesWhatItReads) {
  const std::string text =
      "[model]\nlayers = [\"relu\", { dense = 10, name = \"he\\\"ad\\u007f\" }]\n[model.defaults]\nconv2d = { bias = false }\n"
      "[model.blocks.basic]\noptions = { filters = \"required\" }\nlayers = [{ residual = [\"relu\"] }]\n"
      "[run]\nseed = 1\nodd = { \"a b\" = inf, c = -1e-20, d = 100000000000000000000.0 }\nempty = {}\nnone = []\n";
  const Value root = parse_run_text(text, "run.toml");
  const std::string written = write_run_text(root);
  EXPECT_EQ(parse_run_text(written, "again").describe(), root.describe());
  EXPECT_EQ(write_run_text(parse_run_text(written, "again")), written);
  EXPECT_EQ(written.substr(0, 6), "[run]\n");
}

TEST(RunFileTest, LongListsAreWrittenOneItemALine) {
  std::string text = "[data]\ntrain = [";
  for (int i = 0; i < 20; ++i) text += "\"file_number_" + std::to_string(i) + ".h5\", ";
  const Value root = parse_run_text(text + "]\n", "run.toml");
  const std::string written = write_run_text(root);
  EXPECT_NE(written.find("train = [\n  \"file_number_0.h5\",\n"), std::string::npos);
  EXPECT_EQ(parse_run_text(written, "again").describe(), root.describe());
}

}  // namespace
}  // namespace lockstep
