#include "io/safetensors.h"

#include <cstring>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "io/atomic_file.h"
#include "tests/support/sample_state.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::TemporaryDirectory;

/// A file of a header and `bytes` zero bytes.
std::string file_of(const std::string& header, std::size_t bytes) {
  const std::uint64_t length = header.size();
  std::string content(reinterpret_cast<const char*>(&length), sizeof length);
  return content + header + std::string(bytes, '\0');
}

std::string refusal(const std::string& content) {
  TemporaryDirectory directory;
  const std::string path = directory / "a.safetensors";
  commit_text(path, content);
  try {
    read_safetensors(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::content);
    const std::string message = error.what();
    EXPECT_EQ(message.find("\"" + path + "\": "), 0u) << message;
    return message.substr(path.size() + 4);
  }
  return "no error";
}

TEST(SafetensorsTest, BytesAreThoseOfTheOfficialWriter) {
  // safetensors 0.8.0: save({"b": i64 [7], "a": f32 [[1, 2]], "c": u8 [3]}, metadata={"k": "v"}).
  TemporaryDirectory directory;
  const std::int64_t b = 7;
  const float a[2] = {1, 2};
  const std::uint8_t c = 3;
  const std::vector<NamedTensor> tensors = {
      {"c", {&c, {Shape{1}, Dtype::u8}}}, {"a", {a, {Shape{1, 2}, Dtype::f32}}}, {"b", {&b, {Shape{1}, Dtype::i64}}}};
  write_safetensors(directory / "x", tensors, {{"k", "v"}});
  const std::string header =
      R"({"__metadata__":{"k":"v"},"b":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},"c":{"dtype":"U8","shape":[1],"data_offsets":[16,17]}})";
  std::string expected = header + std::string((8 - header.size() % 8) % 8, ' ');
  const std::uint64_t length = expected.size();
  expected = std::string(reinterpret_cast<const char*>(&length), 8) + expected;
  expected.append(reinterpret_cast<const char*>(&b), 8).append(reinterpret_cast<const char*>(a), 8).append(1, '\3');
  EXPECT_EQ(read_text(directory / "x", 4096), expected);
}

TEST(SafetensorsTest, WeightsComeBackUnderPyTorchNames) {
  TemporaryDirectory directory;
  testing::SampleState state(3);
  const Snapshot weights([&](StateVisitor& visitor) { state.visit_weights(visitor); });
  write_safetensors(directory / "x", export_names(weights), {{"format", "pt"}});
  const SafeTensors file = read_safetensors(directory / "x");
  EXPECT_EQ(file.metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(file.tensors[0].name, "head.weight");
  EXPECT_EQ(file.tensors[0].value.spec(), (TensorSpec{Shape{3, 4}, Dtype::f32}));
  EXPECT_EQ(std::memcmp(file.tensors[0].value.as<float>(), state.weight.as<float>(), 48), 0);
  EXPECT_EQ(file.tensors[1].name, "head.bias");
  EXPECT_EQ(file.tensors[1].value.spec(), (TensorSpec{Shape{3}, Dtype::bf16}));
}

TEST(SafetensorsTest, TwoTensorsOfOneNameAreRefused) {
  TemporaryDirectory directory;
  const float value = 0;
  const std::vector<NamedTensor> tensors(2, {"a", {&value, {Shape{}, Dtype::f32}}});
  EXPECT_THROW(write_safetensors(directory / "x", tensors, {}), Error);
}

TEST(SafetensorsTest, EmptyAndScalarTensorsAreRead) {
  TemporaryDirectory directory;
  const float value = 2;
  const std::vector<NamedTensor> tensors = {{"s", {&value, {Shape{}, Dtype::f32}}}, {"e", {nullptr, {Shape{0, 3}, Dtype::f32}}}};
  write_safetensors(directory / "x", tensors, {});
  const SafeTensors file = read_safetensors(directory / "x");
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(file.tensors[0].value.spec().shape, (Shape{0, 3}));
  EXPECT_EQ(file.tensors[1].value.as<float>()[0], 2.0f);
  EXPECT_EQ(refusal(file_of("{}", 0)), "no error");
}

TEST(SafetensorsTest, BadFilesAreRefusedByName) {
  const auto entry = [](const std::string& name, const std::string& shape, const std::string& offsets) {
    return "\"" + name + "\":{\"dtype\":\"F32\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
  };
  EXPECT_EQ(refusal("1234"), "is no safetensors file, or is cut short: a header of 0 bytes in 4");
  EXPECT_EQ(refusal(std::string(64, '\377')), "is no safetensors file, or is cut short: a header of 18446744073709551615 bytes in 64");
  EXPECT_EQ(refusal(file_of("[]", 0)), "the header does not begin with {");
  EXPECT_EQ(refusal(file_of("{\"a\":", 0)).find("the header is not JSON"), 0u);
  EXPECT_EQ(refusal(file_of("{\"a\":[[[[[1]]]]]}", 0)), "the header is nested too deep");
  EXPECT_EQ(refusal(file_of("{" + entry("a", "[1]", "[0,4]") + "," + entry("a", "[1]", "[0,4]") + "}", 4)), "the header names \"a\" twice");
  EXPECT_EQ(refusal(file_of("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4)),
            "tensor \"a\": expected dtype, shape and two data_offsets alone");
  EXPECT_EQ(refusal(file_of("{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1)),
            "tensor \"a\": dtype \"F8_E4M3\" is not supported; known: U8, F16, BF16, I32, F32, F64, I64");
  EXPECT_EQ(refusal(file_of("{" + entry("a", "[2]", "[0,4]") + "}", 4)), "tensor \"a\": [2] f32: expected 8 bytes, got [0, 4)");
  EXPECT_EQ(refusal(file_of("{" + entry("a", "[1]", "[4,0]") + "}", 4)), "tensor \"a\": [1] f32: expected 4 bytes, got [4, 0)");
  EXPECT_EQ(refusal(file_of("{" + entry("a", "[-1]", "[0,4]") + "}", 4)), "tensor \"a\": shape: expected sizes that fit into memory");
  EXPECT_EQ(refusal(file_of("{" + entry("a", "[4611686018427387904,4]", "[0,0]") + "}", 0)),
            "tensor \"a\": shape: expected sizes that fit into memory");
  EXPECT_EQ(refusal(file_of("{" + entry("a", "[1,1,1,1,1,1,1,1,1]", "[0,4]") + "}", 4)), "tensor \"a\": rank: expected at most 8, got 9");
  EXPECT_EQ(refusal(file_of("{" + entry("a", "[1]", "[4,8]") + "}", 8)), "tensor \"a\": expected its bytes from 0 and up to 8, got [4, 8)");
  EXPECT_EQ(refusal(file_of("{" + entry("a", "[2]", "[0,8]") + "," + entry("b", "[1]", "[4,8]") + "}", 8)),
            "tensor \"b\": expected its bytes from 8 and up to 8, got [4, 8)");
  EXPECT_EQ(refusal(file_of("{" + entry("a", "[2]", "[0,8]") + "}", 4)), "tensor \"a\": expected its bytes from 0 and up to 4, got [0, 8)");
  EXPECT_EQ(refusal(file_of("{" + entry("a", "[1]", "[0,4]") + "}", 5)), "1 bytes belong to no tensor");
  EXPECT_EQ(refusal(file_of("{\"__metadata__\":{\"a\":1}}", 0)), "metadata \"a\": expected text, got number");
}

}  // namespace
}  // namespace lockstep
