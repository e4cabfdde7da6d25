#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace lockstep {

/// The first 512 bytes of a checkpoint, an HDF5 user block that every HDF5 reader skips: three lines of text (format
/// and version, length and XXH3-128 digest of all that follows), filled up with line feeds. libhdf5 sees a checkpoint
/// only after its digest has been found right, since it may crash on damaged files.
constexpr std::size_t kEnvelopeBytes = 512;

std::string make_envelope(std::span<const std::byte> payload);

/// The payload behind a right envelope; otherwise a `content` error: no checkpoint, of a newer format, cut short, or
/// damaged.
std::span<const std::byte> open_envelope(std::span<const std::byte> file, const std::string& path);

}  // namespace lockstep
