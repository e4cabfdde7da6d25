#include "core/model/model_builder.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "launch/run_file.h"

namespace lockstep {
namespace {

const std::vector<NamedInput> kInputs = {{"input", {{8, 8, 3}, Dtype::f32}}, {"target", {{}, Dtype::i64}}};

Graph build(const std::string& text, const std::vector<NamedInput>& inputs = kInputs) {
  const Value root = parse_run_text(text, "run.toml");
  return build_model(*root.find("model"), inputs);
}

std::string build_error(const std::string& text, const std::vector<NamedInput>& inputs = kInputs) {
  try {
    build(text, inputs);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::run_file);
    return error.what();
  }
  return "no error";
}

std::vector<std::string> names_of(const Graph& graph) {
  std::vector<std::string> names;
  for (const GraphNode& node : graph.nodes()) names.push_back(node.name);
  return names;
}

const GraphNode& node_of(const Graph& graph, const std::string& name) {
  EXPECT_GE(graph.find(name), 0) << name;
  return graph.nodes()[static_cast<std::size_t>(graph.find(name))];
}

using Names = std::vector<std::string>;

TEST(ModelBuilderTest, UnnamedLayersAreCountedByKindFromTheSecondOn) {
  const Graph graph = build("[model]\nlayers = [{ conv2d = 4, size = 3 }, \"relu\", { conv2d = 4, size = 3 }, \"relu\", \"relu\"]\n");
  EXPECT_EQ(names_of(graph), (Names{"conv2d", "relu", "conv2d_2", "relu_2", "relu_3"}));
}

TEST(ModelBuilderTest, NamedLayersAreNotCounted) {
  const Graph graph = build("[model]\nlayers = [{ conv2d = 4, size = 3, name = \"stem\" }, { conv2d = 4, size = 3 }]\n");
  EXPECT_EQ(names_of(graph), (Names{"stem", "conv2d"}));
}

TEST(ModelBuilderTest, DefaultsAreMergedUnderEachUse) {
  const Graph graph =
      build("[model]\nlayers = [{ conv2d = 4 }, { conv2d = 4, bias = true }]\n[model.defaults]\nconv2d = { size = 3, bias = false }\n");
  EXPECT_EQ(node_of(graph, "conv2d").spec.parameters.size(), 1u);
  EXPECT_EQ(node_of(graph, "conv2d_2").spec.parameters.size(), 2u);
}

constexpr const char* kBasic =
    "[model.defaults]\nconv2d = { bias = false }\n[model.blocks.basic]\noptions = { filters = \"required\", stride = 1 }\n"
    "layers = [{ residual = [{ conv2d = \"$filters\", size = 3, stride = \"$stride\" }, \"batch_norm\", \"relu\",\n"
    "  { conv2d = \"$filters\", size = 3 }, \"batch_norm\"], shortcut = \"project\" }, \"relu\"]\n";

TEST(ModelBuilderTest, BlocksAreUsedLikeLayers) {
  const Graph graph = build(std::string("[model]\nlayers = [{ basic = 3 }, { basic = 6, stride = 2 }]\n") + kBasic);
  EXPECT_EQ(names_of(graph),
            (Names{"basic.residual.conv2d", "basic.residual.batch_norm", "basic.residual.relu", "basic.residual.conv2d_2",
                   "basic.residual.batch_norm_2", "basic.residual.add", "basic.relu", "basic_2.residual.conv2d",
                   "basic_2.residual.batch_norm", "basic_2.residual.relu", "basic_2.residual.conv2d_2", "basic_2.residual.batch_norm_2",
                   "basic_2.residual.shortcut.conv2d", "basic_2.residual.shortcut.batch_norm", "basic_2.residual.add", "basic_2.relu"}));
  const GraphNode& projection = node_of(graph, "basic_2.residual.shortcut.conv2d");
  ASSERT_EQ(projection.spec.parameters.size(), 1u);
  EXPECT_EQ(projection.spec.parameters[0].shape.text(), "[6, 3, 1, 1]");
  EXPECT_EQ(projection.spec.outputs[0].shape.text(), "[4, 4, 6]");
  EXPECT_EQ(projection.inputs, node_of(graph, "basic_2.residual.conv2d").inputs);
}

TEST(ModelBuilderTest, ABlockOptionCanBeMultipliedAndDivided) {
  const Graph graph = build(
      "[model]\nlayers = [{ neck = 4 }]\n[model.blocks.neck]\noptions = { filters = \"required\" }\n"
      "layers = [{ conv2d = \"$filters/2\", size = 1 }, { conv2d = \"$filters*4\", size = 1 }]\n");
  EXPECT_EQ(node_of(graph, "neck.conv2d").spec.outputs[0].shape.text(), "[8, 8, 2]");
  EXPECT_EQ(node_of(graph, "neck.conv2d_2").spec.outputs[0].shape.text(), "[8, 8, 16]");
}

TEST(ModelBuilderTest, AnIdentityShortcutAddsTheInput) {
  const Graph graph = build("[model]\nlayers = [{ residual = [\"relu\"] }]\n");
  EXPECT_EQ(names_of(graph), (Names{"residual.relu", "residual.add"}));
  EXPECT_EQ(node_of(graph, "residual.add").inputs[1], graph.inputs()[0]);
}

TEST(ModelBuilderTest, AShortcutOfLayersStandsForItself) {
  const Graph graph = build("[model]\nlayers = [{ residual = [{ conv2d = 6, size = 3 }], shortcut = [{ conv2d = 6, size = 1 }] }]\n");
  EXPECT_EQ(names_of(graph), (Names{"residual.conv2d", "residual.shortcut.conv2d", "residual.add"}));
}

TEST(ModelBuilderTest, DenseResidualsAreProjectedByDenseLayers) {
  const Graph graph = build("[model]\nlayers = [{ residual = [{ dense = 5 }], shortcut = \"project\" }]\n", {{"input", {{3}, Dtype::f32}}});
  EXPECT_EQ(node_of(graph, "residual.shortcut.dense").spec.parameters[0].shape.text(), "[5, 3]");
}

TEST(ModelBuilderTest, FromNamesSiblingsOuterLayersAndInputs) {
  const Graph graph = build(
      "[model]\nlayers = [{ relu = true, name = \"a\" }, { relu = true, name = \"b\", from = \"input\" },\n"
      "  { residual = [{ add = true, from = [\"a\", \"b\"] }] }]\n");
  EXPECT_EQ(node_of(graph, "b").inputs[0], graph.inputs()[0]);
  EXPECT_EQ(node_of(graph, "residual.add").inputs, (std::vector<int>{node_of(graph, "a").outputs[0], node_of(graph, "b").outputs[0]}));
  EXPECT_GE(graph.find("residual.add_2"), 0);
}

TEST(ModelBuilderTest, InsideABlockInputIsWhatTheBlockWasGiven) {
  const Graph graph = build(
      "[model]\nlayers = [{ relu = true, name = \"a\" }, \"twice\"]\n"
      "[model.blocks.twice]\nlayers = [\"relu\", { add = true, from = [\"relu\", \"input\"] }]\n");
  EXPECT_EQ(node_of(graph, "twice.add").inputs[1], node_of(graph, "a").outputs[0]);
}

TEST(ModelBuilderTest, SharedWeightsNameTheirOwner) {
  const Graph graph = build("[model]\nlayers = [{ conv2d = 3, size = 3, name = \"one\" }, { conv2d = 3, size = 3, share = \"one\" }]\n");
  EXPECT_EQ(node_of(graph, "conv2d").shares, graph.find("one"));
}

TEST(ModelBuilderTest, OutputNamesTheResult) {
  const Graph graph = build("[model]\noutput = \"a\"\nlayers = [{ relu = true, name = \"a\" }, \"relu\"]\n");
  EXPECT_EQ(graph.output(), node_of(graph, "a").outputs[0]);
}

TEST(ModelBuilderTest, MistakesInLayersNameTheirPlace) {
  EXPECT_EQ(build_error("[model]\nlayers = [\"rleu\"]\n"), "run.toml:2:11: unknown layer \"rleu\"; did you mean \"relu\"?");
  EXPECT_EQ(build_error("[model]\nlayers = [{ con2d = 3, size = 3 }]\n"),
            "run.toml:2:11: no key of { con2d = 3, size = 3 } names a layer; did you mean \"conv2d\"?");
  EXPECT_EQ(build_error("[model]\nlayers = [{ conv2d = 3, relu = true }]\n"),
            "run.toml:2:11: 2 keys of { conv2d = 3, relu = true } name a layer: conv2d, relu; expected exactly one");
  EXPECT_EQ(build_error("[model]\nlayers = [3]\n"), "run.toml:2:11: expected the name of a layer or a table, got 3");
  EXPECT_EQ(build_error("[model]\nlayers = [{ conv2d = 3, sise = 3, size = 3 }]\n"),
            "run.toml:2:25: layer \"conv2d\" (conv2d): unknown key \"sise\"; nearest: size, stride");
  EXPECT_EQ(build_error("[model]\nlayers = [{ conv2d = 0, size = 3, name = \"stem\" }]\n"),
            "run.toml:2:13: layer \"stem\" (conv2d): \"conv2d\": expected at least 1, got 0");
  EXPECT_EQ(build_error("[model]\nlayers = []\n"), "run.toml:2:1: [model]: expected \"layers\", a list of layers");
  EXPECT_EQ(build_error("[model]\nlayers = [\"relu\"]\nlayer = 1\n"),
            "run.toml:3:1: [model]: unknown key \"layer\"; did you mean \"layers\"?");
}

TEST(ModelBuilderTest, ShapeErrorsNameLayerAndPlace) {
  EXPECT_EQ(build_error("[model]\nlayers = [{ dense = 10, name = \"head\" }]\n"),
            "run.toml:2:11: layer \"head\" (dense): expected [n], got [8, 8, 3]; put \"flatten\" before it");
}

TEST(ModelBuilderTest, MistakesInNamesAreExplained) {
  EXPECT_EQ(build_error("[model]\nlayers = [{ relu = true, name = \"a.b\" }]\n"),
            "run.toml:2:26: layer \"relu\": \"name\": expected a name without \".\" and \"/\", got \"a.b\"");
  EXPECT_EQ(build_error("[model]\nlayers = [{ relu = true, name = \"a\" }, { relu = true, name = \"a\" }]\n"),
            "run.toml:2:40: layer \"a\": the name is taken; give each layer a name of its own");
  EXPECT_EQ(build_error("[model]\nlayers = [{ relu = true, name = \"stem\" }, { relu = true, from = \"sten\" }]\n"),
            "run.toml:2:58: layer \"relu\": no earlier layer and no input is named \"sten\"; did you mean \"stem\"?");
  EXPECT_EQ(build_error("[model]\nlayers = [{ relu = true, from = [] }]\n"),
            "run.toml:2:26: layer \"relu\": \"from\": expected at least one name");
  EXPECT_EQ(build_error("[model]\nlayers = [{ conv2d = 3, size = 3, share = \"stem\" }]\n"),
            "run.toml:2:35: layer \"conv2d\": no earlier layer is named \"stem\"; known: input, target");
  EXPECT_EQ(build_error("[model]\nlayers = [{ conv2d = 3, size = 3, name = \"a\" }, { conv2d = 4, size = 3, share = \"a\" }]\n"),
            "run.toml:2:49: layer \"conv2d\": its weights have other shapes than those of \"a\"");
}

TEST(ModelBuilderTest, MistakesInDefaultsAreExplained) {
  EXPECT_EQ(build_error("[model]\nlayers = [\"relu\"]\ndefaults = 3\n"), "run.toml:3:1: [model]: expected a table, got 3");
  EXPECT_EQ(build_error("[model]\nlayers = [\"relu\"]\n[model.defaults]\ncon2d = {}\n"),
            "run.toml:4:1: [model.defaults]: unknown layer \"con2d\"; did you mean \"conv2d\"?");
  EXPECT_EQ(build_error("[model]\nlayers = [\"relu\"]\n[model.defaults]\nconv2d = 3\n"),
            "run.toml:4:1: [model.defaults]: \"conv2d\": expected a table, got 3");
}

TEST(ModelBuilderTest, MistakesInResidualsAreExplained) {
  EXPECT_EQ(build_error("[model]\nlayers = [{ residual = 3 }]\n"), "run.toml:2:13: \"residual\": expected a list of layers, got 3");
  EXPECT_EQ(build_error("[model]\nlayers = [{ residual = [\"relu\"], shortcut = \"projekt\" }]\n"),
            "run.toml:2:34: \"shortcut\": expected \"identity\", \"project\" or a list of layers, got \"projekt\"");
  EXPECT_EQ(build_error("[model]\nlayers = [{ residual = [{ conv2d = 6, size = 3 }] }]\n"),
            "run.toml:2:11: \"residual\": the layers give [8, 8, 6] f32, the shortcut [8, 8, 3] f32: expected equal shapes; shortcut = "
            "\"project\" "
            "fits them");
  EXPECT_EQ(build_error("[model]\nlayers = [{ residual = [\"global_average_pool\"], shortcut = \"project\" }]\n"),
            "run.toml:2:49: \"shortcut\": no projection takes [8, 8, 3] to [3]: write the shortcut as a list of layers");
  EXPECT_EQ(build_error("[model]\nlayers = [{ residual = [\"relu\"], share = \"x\" }, \"relu\"]\n"),
            "run.toml:2:34: layer \"residual\": no earlier layer is named \"x\"; known: input, target");
  EXPECT_EQ(build_error("[model]\nlayers = [{ relu = true, name = \"x\" }, { residual = [\"relu\"], share = \"x\" }]\n"),
            "run.toml:2:40: \"residual\": only a layer can share weights; name the layers inside");
  EXPECT_EQ(build_error("[model]\nlayers = [{ relu = true, name = \"x\" }, { residual = [\"relu\"], from = [\"x\", \"x\"] }]\n"),
            "run.toml:2:40: \"residual\" takes one input, got 2");
}

std::string block_error(const std::string& use, const std::string& block) {
  return build_error("[model]\nlayers = [" + use + "]\n[model.blocks.b]\n" + block);
}

TEST(ModelBuilderTest, MistakesInUsesOfBlocksAreExplained) {
  const std::string block = "options = { filters = \"required\", stride = 1 }\nlayers = [{ conv2d = \"$filters\", size = 1 }]\n";
  EXPECT_EQ(block_error("\"b\"", block), "run.toml:2:11: block \"b\": option \"filters\" is missing");
  EXPECT_EQ(block_error("{ b = 3, filters = 4 }", block),
            "run.toml:2:20: block \"b\": \"filters\" is given twice: as the main value, and by name");
  EXPECT_EQ(block_error("{ b = 3, strid = 2 }", block), "run.toml:2:20: block \"b\": unknown key \"strid\"; did you mean \"stride\"?");
  EXPECT_EQ(block_error("{ b = 3 }", "layers = [\"relu\"]\n"),
            "run.toml:2:13: block \"b\": no option is required, so none takes the main value 3; write \"b\"");
}

TEST(ModelBuilderTest, MistakesInBlocksAreExplained) {
  EXPECT_EQ(block_error("\"b\"", "layers = [\"b\"]\n"), "run.toml:4:11: block \"b\" uses itself: b > b");
  EXPECT_EQ(block_error("\"b\"", "options = { x = 1 }\nlayers = [{ conv2d = \"$y\", size = 1 }]\n"),
            "run.toml:5:13: the block has no option \"y\"; known: x");
  EXPECT_EQ(block_error("\"b\"", "options = { x = 3 }\nlayers = [{ conv2d = \"$x/2\", size = 1 }]\n"),
            "run.toml:5:13: \"$x/2\": the option is 3, which 2 does not divide");
  EXPECT_EQ(block_error("\"b\"", "options = { x = \"a\" }\nlayers = [{ conv2d = \"$x*2\", size = 1 }]\n"),
            "run.toml:5:13: \"$x*2\": expected an integer option, got \"a\"");
  EXPECT_EQ(block_error("\"b\"", "options = { x = 3 }\nlayers = [{ conv2d = \"$x*y\", size = 1 }]\n"),
            "run.toml:5:13: \"$x*y\": expected \"$option\", \"$option*integer\" or \"$option/integer\"");
  EXPECT_EQ(block_error("\"b\"", "options = { x = 4611686018427387904 }\nlayers = [{ conv2d = \"$x*4\", size = 1 }]\n"),
            "run.toml:5:13: \"$x*4\": too large where the option is 4611686018427387904");
  EXPECT_EQ(block_error("\"b\"", "options = { x = \"required\", y = \"required\" }\nlayers = [\"relu\"]\n"),
            "run.toml:3:15: block \"b\": expected \"main\", the option that \"b = ...\" sets: one of x, y");
  EXPECT_EQ(block_error("\"b\"", "main = \"z\"\noptions = { x = 1 }\nlayers = [\"relu\"]\n"),
            "run.toml:4:1: block \"b\": \"main\": the block has no option \"z\"; known: x");
  EXPECT_EQ(block_error("\"b\"", "options = { relu = 1 }\nlayers = [\"relu\"]\n"),
            "run.toml:4:13: block \"b\": the option \"relu\" is named like a layer or a word of the builder; call it otherwise");
  EXPECT_EQ(block_error("\"b\"", "options = 3\nlayers = [\"relu\"]\n"),
            "run.toml:4:1: block \"b\": expected a table of options and their defaults, got 3");
  EXPECT_EQ(block_error("\"b\"", "options = {}\n"), "run.toml:3:15: block \"b\": expected \"layers\", a list of layers");
  EXPECT_EQ(build_error("[model]\nlayers = [\"relu\"]\n[model.blocks.relu]\nlayers = [\"relu\"]\n"),
            "run.toml:3:15: block \"relu\": the name is that of a layer; give the block another");
  EXPECT_EQ(build_error("[model]\nblocks = 3\nlayers = [\"relu\"]\n"), "run.toml:2:1: [model] \"blocks\": expected a table, got 3");
}

TEST(ModelBuilderTest, MainCanNameTheOptionOfABlock) {
  const Graph graph = build(
      "[model]\nlayers = [{ b = 5, size = 3 }]\n[model.blocks.b]\nmain = \"filters\"\n"
      "options = { filters = \"required\", size = \"required\" }\nlayers = [{ conv2d = \"$filters\", size = \"$size\" }]\n");
  EXPECT_EQ(node_of(graph, "b.conv2d").spec.parameters[0].shape.text(), "[5, 3, 3, 3]");
}

TEST(ModelBuilderTest, TheFashionMnistRecipeHas308074Parameters) {
  const Value root = read_run_file(LOCKSTEP_SOURCE_DIR "/examples/fashion_mnist/run.toml");
  Graph graph = build_model(*root.find("model"), {{"input", {{28, 28, 1}, Dtype::f32}}, {"target", {{}, Dtype::i64}}});
  add_training_heads(graph, *root.find("train")->find("loss"), {Value::text("accuracy")});
  std::int64_t parameters = 0;
  for (const GraphNode& node : graph.nodes())
    for (const ParameterSpec& parameter : node.spec.parameters) parameters += parameter.shape.elements();
  EXPECT_EQ(parameters, 308074);
  EXPECT_EQ(graph.values()[static_cast<std::size_t>(graph.output())].spec.shape.text(), "[10]");
  EXPECT_EQ(node_of(graph, "basic_3.relu").spec.outputs[0].shape.text(), "[4, 4, 128]");
}

/// A one-layer graph with heads, and what went wrong.
std::string heads_error(const std::string& loss, const std::string& metrics = "[]") {
  const Value root = parse_run_text("loss = " + loss + "\nmetrics = " + metrics + "\n[model]\nlayers = [{ dense = 10 }]\n", "run.toml");
  Graph graph = build_model(*root.find("model"), {{"input", {{4}, Dtype::f32}}, {"target", {{}, Dtype::i64}}});
  try {
    add_training_heads(graph, *root.find("loss"), root.find("metrics")->as_array());
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::run_file);
    return error.what();
  }
  std::string names;
  for (const GraphNode& node : graph.nodes()) names += node.name + " ";
  return names;
}

TEST(ModelBuilderTest, LossAndMetricsReadTheResultAndTheTarget) {
  EXPECT_EQ(heads_error("\"cross_entropy\"", "[\"accuracy\", { top_k = 5, name = \"top5\", target = \"target\" }]"),
            "dense loss accuracy top5 ");
}

TEST(ModelBuilderTest, MistakesInHeadsAreExplained) {
  EXPECT_EQ(heads_error("\"cross_entrop\""), "run.toml:1:1: unknown loss \"cross_entrop\"; did you mean \"cross_entropy\"?");
  EXPECT_EQ(heads_error("{ cross_entropy = \"targets\" }"),
            "run.toml:1:10: loss \"cross_entropy\": no input is named \"targets\"; did you mean \"target\"?");
  EXPECT_EQ(heads_error("{ cross_entropy = 3 }"), "run.toml:1:10: loss \"cross_entropy\": expected the name of the target, got 3");
  EXPECT_EQ(heads_error("{ cross_entropy = \"target\", smoothing = 0.1 }"),
            "run.toml:1:36: loss \"cross_entropy\": unknown key \"smoothing\"; did you mean \"label_smoothing\"?");
  EXPECT_EQ(heads_error("\"cross_entropy\"", "[{ accuracy = true, target = \"labels\" }]"),
            "run.toml:2:31: metric \"accuracy\": no input is named \"labels\"; known: input, target");
  EXPECT_EQ(heads_error("\"cross_entropy\"", "[\"accuracy\", \"accuracy\"]"),
            "run.toml:2:24: layer \"accuracy\": the name is taken; give each layer a name of its own");
}

/// Options of a layer must not be named like a layer, or `{ conv2d = 3, relu = true }` could mean two things.
TEST(ModelBuilderTest, NoLayerHasAnOptionNamedLikeALayer) {
  const auto& registry = Registry<Layer>::instance();
  const std::vector<std::string> values = {"true", "1", "0.5", "\"x\"", "[1, 1]"};
  ASSERT_GE(registry.names().size(), 10u);
  for (const std::string& name : registry.names()) {
    bool made = false;
    for (const std::string& value : values) {
      const Value table = parse_run_text(name + " = " + value + "\nsize = 1\n", "run.toml");
      Options options(table, name);
      try {
        registry.find(name)->make(options);
        made = true;
      } catch (const Error&) {
        continue;
      }
      for (const std::string& key : options.keys_read())
        EXPECT_TRUE(key == name || !registry.find(key)) << name << " has an option " << key;
    }
    EXPECT_TRUE(made) << name << ": no value in this test makes one";
  }
}

}  // namespace
}  // namespace lockstep
