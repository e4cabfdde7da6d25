#include "io/checkpoint_envelope.h"

#include <charconv>
#include <string_view>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "io/checkpoint.h"

namespace lockstep {
namespace {

constexpr std::string_view kMagic = "lockstep-checkpoint ";
constexpr std::string_view kLengthKey = "bytes ";

std::string render(std::size_t bytes, const std::string& digest) {
  std::string text = fmt::format("{}{}\n{}{}\nxxh3-128 {}\n", kMagic, kCheckpointVersion, kLengthKey, bytes, digest);
  text.resize(kEnvelopeBytes, '\n');
  return text;
}

/// The number that ends its line, or -1.
std::int64_t number_of(std::string_view text) {
  std::int64_t value = -1;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc{} && end != text.data() + text.size() && *end == '\n' ? value : -1;
}

}  // namespace

std::string make_envelope(std::span<const std::byte> payload) { return render(payload.size(), digest_hex(payload.data(), payload.size())); }

std::span<const std::byte> open_envelope(std::span<const std::byte> file, const std::string& path) {
  const std::string_view block(reinterpret_cast<const char*>(file.data()), std::min(file.size(), kEnvelopeBytes));
  if (!block.starts_with(kMagic.substr(0, block.size()))) fail(ErrorKind::content, "\"{}\": is not a lockstep checkpoint", path);
  if (file.size() < kEnvelopeBytes)
    fail(ErrorKind::content, "\"{}\": is cut short: expected at least {} bytes, got {}", path, kEnvelopeBytes, file.size());
  const std::int64_t version = number_of(block.substr(kMagic.size()));
  if (version > kCheckpointVersion)
    fail(ErrorKind::content, "\"{}\": was written by a newer program: expected format version up to {}, got {}", path, kCheckpointVersion, version);
  const auto payload = file.subspan(kEnvelopeBytes);
  const std::size_t line = block.find('\n');
  const std::string_view rest = line == block.npos ? "" : block.substr(line + 1);
  const std::int64_t bytes = rest.starts_with(kLengthKey) ? number_of(rest.substr(kLengthKey.size())) : -1;
  if (version == kCheckpointVersion && bytes >= 0 && static_cast<std::size_t>(bytes) != payload.size())
    fail(ErrorKind::content, "\"{}\": has the wrong length: expected {} bytes after the first {}, got {}", path, bytes, kEnvelopeBytes, payload.size());
  if (block != make_envelope(payload)) fail(ErrorKind::content, "\"{}\": is damaged: its content does not match its digest", path);
  return payload;
}

}  // namespace lockstep
