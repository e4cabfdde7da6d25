#include "launch/callbacks/event_file.h"

#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <boost/crc.hpp>

#include "core/base/error.h"
#include "launch/logging.h"

namespace lockstep {
namespace {

enum Wire : std::uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

template <class Unsigned>
void put_little_endian(std::string& out, Unsigned value) {
  for (std::size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(value >> (8 * i));
}

void put_integer(std::string& out, std::uint64_t field, std::int64_t value) {
  put_varint(out, field << 3 | kVarint);
  put_varint(out, static_cast<std::uint64_t>(value));
}

void put_double(std::string& out, std::uint64_t field, double value) {
  put_varint(out, field << 3 | kFixed64);
  put_little_endian(out, std::bit_cast<std::uint64_t>(value));
}

void put_float(std::string& out, std::uint64_t field, float value) {
  put_varint(out, field << 3 | kFixed32);
  put_little_endian(out, std::bit_cast<std::uint32_t>(value));
}

void put_bytes(std::string& out, std::uint64_t field, std::string_view value) {
  put_varint(out, field << 3 | kBytes);
  put_varint(out, value.size());
  out += value;
}

std::string message(std::uint64_t field, std::string_view content) {
  std::string out;
  put_bytes(out, field, content);
  return out;
}

std::string event(double wall_time, std::int64_t step) {
  std::string out;
  put_double(out, 1, wall_time);
  put_integer(out, 2, step);
  return out;
}

std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return static_cast<std::uint32_t>(crc.checksum());
}

EventFile::EventFile(const std::string& directory, double wall_time) {
  static std::atomic<int> number{0};
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) fail(ErrorKind::io, "\"{}\": cannot make the directory: {}", directory, error.message());
  path_ = fmt::format("{}/events.out.tfevents.{:010}.{}.{}.{}", directory, static_cast<std::int64_t>(wall_time), host_name(), ::getpid(),
                      number++);
  file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file_ < 0) fail(ErrorKind::io, "\"{}\": cannot open: {}", path_, std::strerror(errno));
  std::string first;
  put_double(first, 1, wall_time);
  put_bytes(first, 3, "brain.Event:2");
  add(first);
}

EventFile::~EventFile() { ::close(file_); }

void EventFile::add(std::string_view data) {
  std::string frame;
  put_little_endian(frame, static_cast<std::uint64_t>(data.size()));
  put_little_endian(frame, masked(crc32c(frame)));
  frame += data;
  put_little_endian(frame, masked(crc32c(data)));
  std::string_view rest = frame;
  while (!rest.empty()) {
    const ssize_t done = ::write(file_, rest.data(), rest.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) fail(ErrorKind::io, "\"{}\": cannot write: {}", path_, std::strerror(done == 0 ? ENOSPC : errno));
    rest.remove_prefix(static_cast<std::size_t>(done));
  }
}

void EventFile::session_start(double wall_time, std::int64_t step) {
  std::string log;
  put_integer(log, 1, 1);  // SessionLog.status = START
  add(event(wall_time, step) + message(7, log));
}

void EventFile::scalar(double wall_time, std::int64_t step, std::string_view tag, double value) {
  std::string one;
  put_bytes(one, 1, tag);
  put_float(one, 2, static_cast<float>(value));
  add(event(wall_time, step) + message(5, message(1, one)));
}

void EventFile::text(double wall_time, std::int64_t step, std::string_view tag, std::string_view markdown) {
  std::string dimension, tensor, one;
  put_integer(dimension, 1, 1);
  put_integer(tensor, 1, 7);  // DT_STRING
  put_bytes(tensor, 2, message(2, dimension));
  put_bytes(tensor, 8, markdown);
  put_bytes(one, 1, tag);
  put_bytes(one, 8, tensor);
  put_bytes(one, 9, message(1, message(1, "text")));
  add(event(wall_time, step) + message(5, message(1, one)));
}

}  // namespace lockstep
