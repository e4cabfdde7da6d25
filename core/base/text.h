#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

/// The up to `count` known names nearest to `name` by edit distance, nearest first; far ones are left out.
std::vector<std::string> nearest_names(std::string_view name, std::span<const std::string> known, std::size_t count = 3);

/// `a, b, c`.
std::string join(std::span<const std::string> parts, std::string_view separator = ", ");

/// `; did you mean "x"?` or `; known: a, b, c`, ready to end an error message.
std::string hint(std::string_view name, std::span<const std::string> known);

/// 1536 -> "1.5 KiB".
std::string format_bytes(std::uint64_t bytes);

/// 1234567 -> "1,234,567".
std::string format_count(std::int64_t count);

}  // namespace lockstep
