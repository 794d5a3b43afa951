#include "crypto/encoding.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace skerry::crypto {

namespace {

constexpr std::string_view standard_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view url_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::uint8_t not_a_digit = 0xFF;

constexpr std::array<std::uint8_t, 256> make_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(not_a_digit);
  for (std::size_t index = 0; index < standard_alphabet.size(); ++index) {
    values[static_cast<unsigned char>(standard_alphabet[index])] = static_cast<std::uint8_t>(index);
  }
  return values;
}

constexpr auto digit_values = make_values();

bool is_space(char character) noexcept {
  return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

std::string encode(std::string_view bytes, std::string_view alphabet, bool padding) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t index = 0; index < 3; ++index) {
      const std::uint32_t byte = index < count ? static_cast<unsigned char>(bytes[at + index]) : 0u;
      group = (group << 8) | byte;
    }
    for (std::size_t index = 0; index < count + 1; ++index) {
      text.push_back(alphabet[(group >> (18 - 6 * index)) & 63]);
    }
    if (padding) {
      text.append(3 - count, '=');
    }
  }
  return text;
}

}  // namespace

std::string base64_encode(std::string_view bytes, std::size_t line) {
  std::string text = encode(bytes, standard_alphabet, true);
  if (line == 0) {
    return text;
  }
  std::string lines;
  lines.reserve(text.size() + text.size() / line + 1);
  for (std::size_t at = 0; at < text.size(); at += line) {
    lines.append(text, at, line).push_back('\n');
  }
  return lines;
}

std::string base64url_encode(std::string_view bytes) {
  return encode(bytes, url_alphabet, false);
}

std::optional<std::string> base64_decode(std::string_view text, std::size_t bytes_max) {
  std::string bytes;
  std::uint32_t group = 0;
  unsigned digits = 0;   // of the group so far, padding included
  unsigned padding = 0;  // `=` signs seen; nothing but those and white space may follow
  for (const char character : text) {
    if (is_space(character)) {
      continue;
    }
    const std::uint8_t value = digit_values[static_cast<unsigned char>(character)];
    if (character == '=') {
      if (digits < 2 || ++padding > 2) {
        return std::nullopt;
      }
    } else if (value == not_a_digit || padding > 0) {
      return std::nullopt;
    }
    group = (group << 6) | (character == '=' ? 0u : value);
    if (++digits < 4) {
      continue;
    }
    if (bytes.size() + 3 - padding > bytes_max) {
      return std::nullopt;
    }
    for (unsigned index = 0; index < 3; ++index) {
      const auto byte = static_cast<unsigned char>(group >> (16 - 8 * index));
      if (index < 3 - padding) {
        bytes.push_back(static_cast<char>(byte));
      } else if (byte != 0) {
        return std::nullopt;  // bits behind the last byte (RFC 4648 section 3.5)
      }
    }
    group = 0;
    digits = 0;  // a group after padding is refused above: a digit at once, `=` as the first
  }
  if (digits != 0) {
    return std::nullopt;
  }
  return bytes;
}

std::string pem_encode(std::string_view label, std::string_view der) {
  const std::string name{label};
  return "-----BEGIN " + name + "-----\n" + base64_encode(der, 64) + "-----END " + name + "-----\n";
}

std::optional<std::string> pem_decode(std::string_view label, std::string_view text,
                                      std::size_t bytes_max) {
  const std::string begin = "-----BEGIN " + std::string{label} + "-----";
  const std::string end = "-----END " + std::string{label} + "-----";
  const std::size_t from = text.find(begin);
  if (from == std::string_view::npos) {
    return std::nullopt;
  }
  const std::size_t to = text.find(end, from + begin.size());
  if (to == std::string_view::npos) {
    return std::nullopt;
  }
  return base64_decode(text.substr(from + begin.size(), to - from - begin.size()), bytes_max);
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += '%';
      encoded += digits[byte >> 4];
      encoded += digits[byte & 15];
    }
  }
  return encoded;
}

}  // namespace skerry::crypto
