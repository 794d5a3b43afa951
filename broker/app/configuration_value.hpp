// Durations and sizes as people write them: "100ms", "30d", "2MiB". Text in, numbers out.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace skerry::app {

/// "100ms", "10s", "5min", "12h", "30d"; nullopt when it is nothing of that or too long to count.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) noexcept;
/// The shortest form that parse_duration() reads back.
std::string format_duration(std::chrono::milliseconds duration);

/// "512", "64KiB", "2MiB", "1GiB"; nullopt when it is nothing of that or too large to count.
std::optional<std::uint64_t> parse_size(std::string_view text) noexcept;
std::string format_size(std::uint64_t bytes);

/// Text as YAML: single quotes keep every character as it is; a quote itself is doubled.
std::string quoted(const std::string& text);

/// Number of single-character changes between two words, for "did you mean".
std::size_t edit_distance(std::string_view left, std::string_view right);

}  // namespace skerry::app
