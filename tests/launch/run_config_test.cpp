#include "launch/run_config.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "launch/resolved_run.h"
#include "launch/run_file.h"

namespace lockstep {
namespace {

/// A run file with `train`, `data` and the rest spliced in; the first line of [train] is line 7.
std::string run_text(const std::string& train = "", const std::string& head = "", const std::string& data = "") {
  return head + "[data]\ntrain = \"a.h5:/train\"\nvalidation = \"a.h5:/test\"\nglobal_batch = 256\ninput = { dataset = \"images\" }\n" +
         data + "target = { dataset = \"labels\", classes = 10 }\n[train]\nloss = \"cross_entropy\"\n" + train +
         "\n[model]\nlayers = [\"relu\"]\n";
}

const std::string kTrain = "epochs = 3\noptimizer = \"sgd\"\nlearning_rate = 0.1\n";

RunConfig read(const std::string& text, const std::string& path = "some/run.toml") {
  return read_run_config(parse_run_text(text, path), path);
}

std::string read_error(const std::string& text) {
  try {
    read(text, "run.toml");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::run_file);
    return error.what();
  }
  return "no error";
}

std::string train_error(const std::string& train) { return read_error(run_text(train)); }

TEST(RunConfigTest, DefaultsAreFilledIn) {
  const RunConfig config = read(run_text(kTrain));
  EXPECT_EQ(config.run.directory, "runs/run");
  EXPECT_EQ(config.run.seed, 1);
  EXPECT_EQ(config.run.mode, RunMode::exact);
  EXPECT_EQ(config.run.lanes, 16);
  EXPECT_EQ(config.run.threads, 1);
  EXPECT_EQ(config.run.device, RunOptions::DeviceKind::automatic);
  EXPECT_FALSE(config.run.precision);
  EXPECT_EQ(config.run.collectives, RunOptions::Collectives::automatic);
  EXPECT_EQ(config.run.if_exists, RunOptions::IfExists::error);
  EXPECT_EQ(config.checkpoint.every_epochs, 1);
  EXPECT_EQ(config.checkpoint.keep, 3);
  EXPECT_EQ(config.checkpoint.best, "");
  EXPECT_EQ(config.data.folder, "some");
  EXPECT_TRUE(config.data.shuffle);
  EXPECT_EQ(config.train.epochs, 3);
  EXPECT_EQ(config.train.steps, 0);
  EXPECT_EQ(config.train.learning_rate.at_batch, 256);
  EXPECT_EQ(config.train.schedule.describe(), "\"constant\"");
  EXPECT_FALSE(config.train.clip);
  EXPECT_FALSE(config.train.early_stopping);
  ASSERT_EQ(config.train.metrics.size(), 1u);
  EXPECT_EQ(config.train.metrics[0].describe(), "\"accuracy\"");
  EXPECT_EQ(config.train.log.every_steps, 50);
  EXPECT_EQ(config.evaluate.every_epochs, 1);
}

TEST(RunConfigTest, EverythingCanBeSet) {
  const RunConfig config = read(run_text(
      "epochs = 4\nsteps = 90\nmax_time = \"1h30m\"\noptimizer = { sgd = \"nesterov\" }\nclip = { global_norm = 1.0 }\nmetrics = []\n"
      "learning_rate = { peak = 0.2, at_batch = 64, scale = \"sqrt\" }\nschedule = { one_cycle = 0.3 }\n"
      "early_stopping = { monitor = \"validation.loss\", patience = 2, min_delta = 0.1, mode = \"max\", restore_best = false }\n"
      "log = { every_steps = 7, tensorboard = false, progress = \"plain\" }\n",
      "[run]\ndirectory = \"d\"\nseed = 5\nmode = \"fast\"\nlanes = 8\nthreads = \"auto\"\ndevice = \"cuda\"\nprecision = \"bf16\"\ncollectives = \"staged\"\nif_exists = \"resume\"\n"
      "[checkpoint]\nevery_steps = 10\nkeep = 1\nbest = \"validation.loss\"\n[evaluate]\nevery_epochs = 2\n",
      "shuffle = false\nmemory = \"8 GiB\"\n"));
  EXPECT_EQ(config.run.directory, "d");
  EXPECT_EQ(config.run.seed, 5);
  EXPECT_EQ(config.run.mode, RunMode::fast);
  EXPECT_EQ(config.run.lanes, 8);
  EXPECT_EQ(config.run.threads, 0);
  EXPECT_EQ(config.run.device, RunOptions::DeviceKind::cuda);
  EXPECT_EQ(config.run.precision, Precision::bf16);
  EXPECT_EQ(config.run.collectives, RunOptions::Collectives::staged);
  EXPECT_EQ(config.run.if_exists, RunOptions::IfExists::resume);
  EXPECT_EQ(config.checkpoint.every_steps, 10);
  EXPECT_EQ(config.checkpoint.every_epochs, 0);
  EXPECT_EQ(config.checkpoint.best, "validation.loss");
  EXPECT_FALSE(config.data.shuffle);
  EXPECT_EQ(config.data.memory_bytes, std::int64_t{8} << 30);
  EXPECT_EQ(config.train.steps, 90);
  EXPECT_EQ(config.train.epochs, 4);
  EXPECT_EQ(config.train.max_seconds, 5400);
  EXPECT_TRUE(config.train.clip);
  EXPECT_TRUE(config.train.metrics.empty());
  EXPECT_DOUBLE_EQ(config.train.learning_rate.effective_peak(256), 0.4);
  EXPECT_EQ(config.train.early_stopping->patience, 2);
  EXPECT_TRUE(config.train.early_stopping->larger_is_better);
  EXPECT_FALSE(config.train.early_stopping->restore_best);
  EXPECT_EQ(config.train.log.every_steps, 7);
  EXPECT_EQ(config.train.log.progress, "plain");
}

TEST(RunConfigTest, TheRateFollowsTheBatch) {
  using Scale = LearningRateOptions::Scale;
  const LearningRateOptions linear{.peak = 0.2, .at_batch = 256, .scale = Scale::linear};
  const LearningRateOptions root{.peak = 0.2, .at_batch = 256, .scale = Scale::sqrt};
  const LearningRateOptions none{.peak = 0.2, .at_batch = 256, .scale = Scale::none};
  EXPECT_DOUBLE_EQ(linear.effective_peak(1024), 0.8);
  EXPECT_DOUBLE_EQ(root.effective_peak(1024), 0.4);
  EXPECT_DOUBLE_EQ(none.effective_peak(1024), 0.2);
}

TEST(RunConfigTest, PrecisionsAreFour) {
  for (const char* name : {"f32", "tf32", "bf16", "f16"})
    EXPECT_EQ(read(run_text(kTrain, std::string("[run]\nprecision = \"") + name + "\"\n")).run.precision, precision_from_name(name));
  EXPECT_EQ(read_error(run_text(kTrain, "[run]\nprecision = \"f8\"\n")).find("run.toml:2:1: [run]: \"precision\": "), 0u);
}

TEST(RunConfigTest, TheLossScaleIsANumberOrDynamic) {
  const auto scaling = [](const std::string& value) { return read(run_text(kTrain + "loss_scale = " + value + "\n")).train.loss_scaling; };
  EXPECT_FALSE(read(run_text(kTrain)).train.loss_scaling);
  EXPECT_FALSE(scaling("\"auto\""));
  EXPECT_EQ(scaling("1024")->initial, 1024);
  EXPECT_FALSE(scaling("0.5")->dynamic());
  EXPECT_EQ(scaling("{ dynamic = 1024 }")->initial, 1024);
  EXPECT_EQ(scaling("{ dynamic = 1024 }")->growth_steps, 2000);
  EXPECT_EQ(scaling("{ dynamic = 2, growth_steps = 7 }")->growth_steps, 7);
  EXPECT_EQ(read(write_run_text(read(run_text(kTrain + "loss_scale = { dynamic = 4 }\n")).resolved)).train.loss_scaling->growth_steps, 2000);
}

TEST(RunConfigTest, BadLossScalesAreRefused) {
  EXPECT_EQ(train_error(kTrain + "loss_scale = \"big\"\n"),
            "run.toml:12:1: [train]: \"loss_scale\": expected a number, { dynamic = 65536 } or \"auto\", got \"big\"");
  for (const char* value : {"0", "-1", "1e39", "{ dynamic = 0 }", "{ dynamic = 1, growth_steps = 0 }", "{ growth_steps = 3 }", "{ dynamic = 1, grow = 2 }"})
    EXPECT_NE(train_error(kTrain + "loss_scale = " + value + "\n").find("run.toml:12:"), std::string::npos) << value;
}

TEST(RunConfigTest, TheResolvedFileReadsBackTheSame) {
  const RunConfig config = read(run_text(kTrain + "early_stopping = {}\nclip = { value = 1 }\n"));
  const std::string written = write_run_text(config.resolved);
  const RunConfig again = read(written);
  EXPECT_EQ(again.resolved.describe(), config.resolved.describe());
  for (const char* line : {"lanes = 16", "keep = 3", "best = \"none\"", "shuffle = true", "layout = \"NHWC\"", "max_time = \"none\"",
                           "at_batch = 256", "schedule = \"constant\"", "metrics = [\"accuracy\"]", "patience = 5", "progress = \"auto\""})
    EXPECT_NE(written.find(line), std::string::npos) << line << "\n" << written;
}

TEST(RunConfigTest, UnknownKeysNameTheNearest) {
  EXPECT_EQ(read_error(run_text(kTrain, "[runn]\nseed = 1\n")), "run.toml:1:2: run file: unknown key \"runn\"; did you mean \"run\"?");
  EXPECT_EQ(read_error(run_text(kTrain, "[run]\nsede = 1\n")), "run.toml:2:1: [run]: unknown key \"sede\"; nearest: mode, seed");
  EXPECT_EQ(read_error(run_text(kTrain, "[checkpoint]\nkep = 1\n")),
            "run.toml:2:1: [checkpoint]: unknown key \"kep\"; did you mean \"keep\"?");
  EXPECT_EQ(read_error(run_text(kTrain, "[evaluate]\nbatch = 1\n")),
            "run.toml:2:1: [evaluate]: unknown key \"batch\"; known: every_epochs");
  EXPECT_EQ(train_error(kTrain + "clipp = 1\n"), "run.toml:12:1: [train]: unknown key \"clipp\"; did you mean \"clip\"?");
  EXPECT_EQ(train_error(kTrain + "log = { every = 1 }\n"),
            "run.toml:12:9: [train] log: unknown key \"every\"; did you mean \"every_steps\"?");
  EXPECT_EQ(train_error(kTrain + "early_stopping = { patent = 1 }\n"),
            "run.toml:12:20: [train] early_stopping: unknown key \"patent\"; did you mean \"patience\"?");
  EXPECT_EQ(read_error(run_text(kTrain, "", "shufle = true\n")), "run.toml:6:1: [data]: unknown key \"shufle\"; did you mean \"shuffle\"?");
}

TEST(RunConfigTest, WhatIsMissingIsNamed) {
  EXPECT_EQ(read_error("[model]\nlayers = []\n"),
            "run.toml:1:1: run file: \"data\" is missing: expected something like data = "
            "{ train = \"file.h5:/train\", ... }");
  EXPECT_EQ(train_error(""), "run.toml:7:2: [train]: \"epochs\" is missing: expected something like epochs = 10");
  EXPECT_EQ(train_error("epoch = 1\n"), "run.toml:7:2: [train]: \"epochs\" is missing: expected something like epochs = 10; is \"epoch\" (run.toml:9:1) meant?");
  EXPECT_EQ(train_error("epochs = 1\n"), "run.toml:7:2: [train]: \"optimizer\" is missing: expected something like optimizer = \"sgd\"");
  EXPECT_EQ(train_error("epochs = 1\noptimizer = \"sgd\"\n"),
            "run.toml:7:2: [train]: \"learning_rate\" is missing: expected something like learning_rate = { peak = 0.1 }");
  EXPECT_EQ(train_error("epochs = 1\noptimizer = \"sgd\"\nlearning_rate = {}\n"),
            "run.toml:11:1: [train] learning_rate: \"peak\" is missing: expected something like peak = 0.1");
}

TEST(RunConfigTest, WrongValuesAreExplained) {
  EXPECT_EQ(read_error("model = 3\n[data]\n"), "run.toml:1:1: [model]: expected a table, got 3");
  EXPECT_EQ(read_error("run = 3\n[data]\n[model]\n"), "run.toml:1:1: [run]: expected a table, got integer");
  EXPECT_EQ(read_error(run_text(kTrain, "[run]\ndirectory = \"\"\n")), "run.toml:2:1: [run]: \"directory\": expected a path, got \"\"");
  EXPECT_EQ(read_error(run_text(kTrain, "[run]\nmode = \"exakt\"\n")),
            "run.toml:2:1: [run]: \"mode\": unknown value \"exakt\"; known: exact, fast");
  EXPECT_EQ(train_error("epochs = 1\noptimizer = \"sgd\"\nlearning_rate = -1\n"),
            "run.toml:11:1: [train] learning_rate: \"peak\": expected a rate above 0, got -1");
  EXPECT_EQ(train_error(kTrain + "max_time = \"soon\"\n"),
            "run.toml:12:1: [train]: \"max_time\": expected seconds or a time such as \"1h30m\" or \"00:30:00\", got \"soon\"");
  EXPECT_EQ(train_error(kTrain + "metrics = [\"accuracy\", \"accuracy\"]\n"),
            "run.toml:12:24: [train] metrics: two are called \"accuracy\"; give one a \"name\"");
}

TEST(RunConfigTest, TwoWaysToSayOneThingAreRefused) {
  EXPECT_EQ(train_error(kTrain + "schedule = [{ warm_up = 5 }, \"one_cycle\"]\n"),
            "run.toml:12:1: [train]: \"schedule\": expected one schedule, got a list; a warm-up names what follows it: "
            "{ warm_up = 5, then = \"cosine\" }");
  EXPECT_EQ(train_error(kTrain + "schedule = { warm_up = 5, then = \"one_cycle\" }\n"),
            "run.toml:12:27: schedule \"warm_up\": \"then\": \"one_cycle\" rises by itself at the start, so this would warm up twice: "
            "expected one of the two");
}

TEST(RunConfigTest, MonitoredMetricsMustExist) {
  EXPECT_EQ(read_error(run_text(kTrain, "[checkpoint]\nbest = \"accuracy\"\n")),
            "run.toml:2:1: [checkpoint]: \"best\": expected a metric such as \"validation.loss\" or \"train.loss\", got \"accuracy\"");
  EXPECT_EQ(
      read_error(run_text(kTrain, "[checkpoint]\nbest = \"validation.acuracy\"\n")),
      "run.toml:2:1: [checkpoint]: \"best\": no metric is called \"validation.acuracy\"; known: validation.loss, validation.accuracy");
  EXPECT_EQ(train_error(kTrain + "schedule = { plateau = \"train.accuracy\" }\n"),
            "run.toml:12:1: [train]: \"schedule\": no metric is called \"train.accuracy\"; known: train.loss");
  std::string text = run_text(kTrain + "early_stopping = { monitor = \"validation.loss\" }\n");
  text.erase(text.find("validation = "), std::string("validation = \"a.h5:/test\"\n").size());
  EXPECT_EQ(
      read_error(text),
      "run.toml:11:20: [train] early_stopping: \"monitor\": \"validation.loss\" needs a validation set: [data] has no \"validation\"");
}

TEST(RunConfigTest, DurationsAreReadInSeveralNotations) {
  const auto seconds = [](const std::string& text) { return parse_duration(Value::text(text), ""); };
  EXPECT_EQ(parse_duration(Value::integer(90), ""), 90);
  EXPECT_EQ(seconds("90"), 90);
  EXPECT_EQ(seconds("45s"), 45);
  EXPECT_EQ(seconds("1h30m"), 5400);
  EXPECT_EQ(seconds("2d"), 172800);
  EXPECT_EQ(seconds("00:30:00"), 1800);
  EXPECT_EQ(seconds("5:30"), 330);
  for (const char* text : {"", "h", "30m1h", "1h30", "1:2:3:4", "1:", ":1", "0", "1x", "-5"}) EXPECT_THROW(seconds(text), Error) << text;
}

TEST(RunConfigTest, TheFashionMnistRecipeIsRead) {
  const std::string path = LOCKSTEP_SOURCE_DIR "/examples/fashion_mnist/run.toml";
  const RunConfig config = read_run_config(read_run_file(path), path);
  EXPECT_EQ(config.run.directory, "runs/fashion_mnist");
  EXPECT_EQ(config.checkpoint.best, "validation.accuracy");
  EXPECT_EQ(config.data.folder, LOCKSTEP_SOURCE_DIR "/examples/fashion_mnist");
  EXPECT_EQ(config.data.augment.size(), 1u);
  EXPECT_EQ(config.train.epochs, 10);
}

TEST(RunConfigTest, WeightsAreAFileThatTheResolvedRunFileNamesInFull) {
  EXPECT_FALSE(read(run_text(kTrain)).train.weights);
  const RunConfig plain = read(run_text(kTrain + "weights = \"a.safetensors\"\n"), "/runs/run.toml");
  EXPECT_EQ(plain.train.weights->file, "a.safetensors");
  EXPECT_TRUE(plain.train.weights->except.empty());
  const RunConfig table = read(run_text(kTrain + "weights = { file = \"sub/a.safetensors\", except = \"fc\" }\n"), "/runs/run.toml");
  EXPECT_EQ(table.train.weights->except, std::vector<std::string>{"fc"});
  EXPECT_EQ(read(resolved_run_text(plain), "elsewhere/run.toml").train.weights->file, "/runs/a.safetensors");
  const RunConfig again = read(resolved_run_text(table), "elsewhere/run.toml");
  EXPECT_EQ(again.train.weights->file, "/runs/sub/a.safetensors");
  EXPECT_EQ(again.train.weights->except, std::vector<std::string>{"fc"});
  EXPECT_NE(train_error(kTrain + "weights = { except = [\"fc\"] }").find("[train] weights: \"file\" is missing: expected a string"), std::string::npos);
  EXPECT_NE(train_error(kTrain + "weights = { file = \"a\", excpet = [] }").find("[train] weights: unknown key \"excpet\"; did you mean \"except\"?"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
