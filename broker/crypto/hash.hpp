// SHA-256, hexadecimal text and comparison in constant time.
#pragma once

#include <string>
#include <string_view>

namespace skerry::crypto {

/// 32 bytes.
std::string sha256(std::string_view data);
/// 64 lower-case digits.
std::string sha256_hex(std::string_view data);

/// Lower-case, two digits a byte.
std::string to_hex(std::string_view bytes);

/// Compares without telling by its duration where two secrets of the same length differ.
bool equal_constant_time(std::string_view left, std::string_view right) noexcept;

}  // namespace skerry::crypto
