#include "launch/callbacks/tensorboard.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "io/atomic_file.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::TemporaryDirectory;

/// CRC-32C bit by bit, independent of the writer's.
std::uint32_t slow_crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) crc = crc & 1u ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
  }
  return ~crc;
}

template <class T>
T read_at(std::string_view bytes, std::size_t at) {
  T value{};
  if (at + sizeof(T) > bytes.size()) throw std::runtime_error("the file ends inside a record");
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

void check_crc(std::string_view data, std::uint32_t stored) {
  const std::uint32_t rotated = stored - 0xa282ead8u;
  EXPECT_EQ((rotated >> 17) | (rotated << 15), slow_crc32c(data));
}

std::vector<std::string> records_of(const std::string& path) {
  const std::string bytes = read_text(path, 1 << 20);
  std::vector<std::string> records;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto length = static_cast<std::size_t>(read_at<std::uint64_t>(bytes, at));
    check_crc(std::string_view(bytes).substr(at, 8), read_at<std::uint32_t>(bytes, at + 8));
    records.push_back(bytes.substr(at + 12, length));
    check_crc(records.back(), read_at<std::uint32_t>(bytes, at + 12 + length));
    at += 16 + length;
  }
  return records;
}

/// The fields of one message: numbers of wire types 0, 1 and 5 as raw bits, bytes as text.
struct Fields {
  std::map<int, std::uint64_t> numbers;
  std::map<int, std::string> texts;
};

Fields decode(std::string_view data) {
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(data.at(at++));
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
  };
  Fields fields;
  while (at < data.size()) {
    const std::uint64_t key = varint();
    const int field = static_cast<int>(key >> 3);
    switch (key & 7) {
      case 0:
        fields.numbers[field] = varint();
        break;
      case 1:
        fields.numbers[field] = read_at<std::uint64_t>(data, at), at += 8;
        break;
      case 5:
        fields.numbers[field] = read_at<std::uint32_t>(data, at), at += 4;
        break;
      case 2: {
        const auto length = static_cast<std::size_t>(varint());
        fields.texts[field] = std::string(data.substr(at, length));
        at += length;
        break;
      }
      default:
        throw std::runtime_error("unknown wire type");
    }
  }
  return fields;
}

double as_double(std::uint64_t bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float as_float(std::uint64_t bits) {
  const auto low = static_cast<std::uint32_t>(bits);
  float value;
  std::memcpy(&value, &low, sizeof value);
  return value;
}

std::vector<std::string> files_in(const std::filesystem::path& directory) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  return files;
}

/// "tag@step" to value, of all scalars of a file.
std::map<std::string, float> scalars_of(const std::string& path) {
  std::map<std::string, float> result;
  for (const std::string& record : records_of(path)) {
    const Fields event = decode(record);
    if (!event.texts.contains(5)) continue;
    const Fields value = decode(decode(event.texts.at(5)).texts.at(1));
    if (value.numbers.contains(2)) result[value.texts.at(1) + "@" + std::to_string(event.numbers.at(2))] = as_float(value.numbers.at(2));
  }
  return result;
}

TEST(EventFileTest, ChecksumIsCastagnolis) {
  // The check value of CRC-32C in the catalogue of parametrised CRC algorithms.
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);  // RFC 3720, B.4
}

TEST(TensorBoardTest, WritesTheHeaderScalarsAndTheRunFile) {
  const TemporaryDirectory directory;
  {
    TensorBoard board(
        {.directory = directory / "tensorboard", .run_text = "[train]\nepochs = 2", .every_steps = 2, .clock = [] { return 1234.5; }});
    LoopRequest request;
    for (std::int64_t step = 1; step <= 4; ++step)
      board.on_step_end({.step = step, .samples = 64, .loss = 1.0 / static_cast<double>(step), .learning_rate = 0.5, .step_seconds = 0.25},
                        request);
    board.on_epoch_end({.step = 300, .metrics = {{"train.loss", 0.75}, {"validation.accuracy", 0.875}}}, request);
  }
  const auto files = files_in(directory.path() / "tensorboard");
  ASSERT_EQ(files.size(), 1u);
  EXPECT_NE(files[0].find("/events.out.tfevents.0000001234."), std::string::npos);
  const auto records = records_of(files[0]);
  const Fields header = decode(records.at(0));
  EXPECT_EQ(as_double(header.numbers.at(1)), 1234.5);
  EXPECT_EQ(header.texts.at(3), "brain.Event:2");

  const Fields card = decode(decode(decode(records.at(1)).texts.at(5)).texts.at(1));
  EXPECT_EQ(card.texts.at(1), "run_file");
  EXPECT_EQ(decode(decode(card.texts.at(9)).texts.at(1)).texts.at(1), "text");
  const Fields tensor = decode(card.texts.at(8));
  EXPECT_EQ(tensor.numbers.at(1), 7u);
  EXPECT_EQ(decode(decode(tensor.texts.at(2)).texts.at(2)).numbers.at(1), 1u);
  EXPECT_EQ(tensor.texts.at(8), "```toml\n[train]\nepochs = 2\n```");

  const auto scalars = scalars_of(files[0]);
  EXPECT_EQ(scalars.at("train/step_loss@1"), 1.0f);
  EXPECT_EQ(scalars.at("train/step_loss@4"), 0.25f);
  EXPECT_FALSE(scalars.contains("train/step_loss@3"));
  EXPECT_EQ(scalars.at("train/learning_rate@2"), 0.5f);
  EXPECT_EQ(scalars.at("train/samples_per_second@2"), 256.0f);
  EXPECT_FALSE(scalars.contains("train/samples_per_second@1"));
  EXPECT_EQ(scalars.at("validation/accuracy@300"), 0.875f);
  EXPECT_EQ(scalars.at("train/loss@300"), 0.75f);
}

TEST(TensorBoardTest, AResumedRunOpensANewFileThatSaysWhereItGoesOn) {
  const TemporaryDirectory directory;
  {
    TensorBoard first({.directory = directory.path().string(), .clock = [] { return 10.0; }});
  }
  {
    TensorBoard second({.directory = directory.path().string(), .resumed_step = 40, .clock = [] { return 20.0; }});
  }
  const auto files = files_in(directory.path());
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(records_of(files[0]).size(), 1u);
  const auto records = records_of(files[1]);
  ASSERT_EQ(records.size(), 2u);
  const Fields start = decode(records[1]);
  EXPECT_EQ(start.numbers.at(2), 41u);
  EXPECT_EQ(decode(start.texts.at(7)).numbers.at(1), 1u);
}

TEST(TensorBoardTest, ADirectoryThatCannotBeMadeIsNamed) {
  try {
    TensorBoard board({.directory = "/dev/null/board"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::io);
    EXPECT_NE(std::string(error.what()).find("\"/dev/null/board\": cannot make the directory"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace lockstep
