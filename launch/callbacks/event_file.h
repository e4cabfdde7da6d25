#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep {

/// CRC-32C (Castagnoli), as of RFC 3720.
std::uint32_t crc32c(std::string_view bytes);

/// Writes a TensorBoard event file: TFRecord frames (u64 length, masked CRC-32C of it, data, masked CRC-32C of that) of
/// `Event` messages in protocol-buffer encoding, per tensorflow's event.proto and summary.proto. Every event is one
/// write(2). Not thread-safe.
class EventFile {
 public:
  /// Makes a new file `events.out.tfevents.<seconds>.<host>.<pid>.<number>` in the directory, which is made where it is
  /// missing. `io` error where the system says no.
  EventFile(const std::string& directory, double wall_time);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  /// Readers drop what earlier files of the directory hold of this step and later ones.
  void session_start(double wall_time, std::int64_t step);
  void scalar(double wall_time, std::int64_t step, std::string_view tag, double value);
  /// A card on the text page; Markdown.
  void text(double wall_time, std::int64_t step, std::string_view tag, std::string_view markdown);

  const std::string& path() const { return path_; }

 private:
  void add(std::string_view event);

  std::string path_;
  int file_ = -1;
};

}  // namespace lockstep
