#include "core/base/hash.h"

#include <xxhash.h>

#include <fmt/format.h>

#include "core/base/error.h"

namespace lockstep {
namespace {

XXH3_state_t* state_of(void* state) { return static_cast<XXH3_state_t*>(state); }

std::string hex_of(XXH128_hash_t hash) { return fmt::format("{:016x}{:016x}", hash.high64, hash.low64); }

}  // namespace

std::uint64_t hash_text(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

Digest::Digest() : state_(XXH3_createState()) {
  require(state_ != nullptr, "no memory for a digest");
  XXH3_128bits_reset(state_of(state_));
}

Digest::~Digest() { XXH3_freeState(state_of(state_)); }

void Digest::add(const void* data, std::size_t bytes) { XXH3_128bits_update(state_of(state_), data, bytes); }

void Digest::add(std::string_view text) {
  add(static_cast<std::uint64_t>(text.size()));
  add(text.data(), text.size());
}

std::string Digest::hex() const { return hex_of(XXH3_128bits_digest(state_of(state_))); }

std::string digest_hex(const void* data, std::size_t bytes) { return hex_of(XXH3_128bits(data, bytes)); }

}  // namespace lockstep
