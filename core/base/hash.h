#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep {

/// 64-bit XXH3 of a text. Keys random streams by a layer's stable name, so it never changes between versions.
std::uint64_t hash_text(std::string_view text);

/// 128-bit XXH3 over a sequence of byte ranges: the digest of states, tensors and configurations.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  void add(const void* data, std::size_t bytes);
  /// Adds the length and then the text, so that neighbours cannot run together.
  void add(std::string_view text);
  void add(std::uint64_t number) { add(&number, sizeof number); }

  /// 32 hexadecimal digits; may be called at any time.
  std::string hex() const;

 private:
  void* state_;  // XXH3_state_t, kept out of this header
};

/// The digest of one byte range.
std::string digest_hex(const void* data, std::size_t bytes);

}  // namespace lockstep
