// Base64 (RFC 4648) and PEM (RFC 7468) as text around DER, and text in URIs. Decoders take hostile
// input: they are strict about the alphabet and padding, lenient about white space, and never give
// more than a cap.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace skerry::crypto {

/// With padding. `line` > 0: a line feed after each `line` characters and at the end.
std::string base64_encode(std::string_view bytes, std::size_t line = 0);

/// URL-safe alphabet, no padding (RFC 4648 section 5).
std::string base64url_encode(std::string_view bytes);

/// Skips space, tab, CR and LF anywhere; padding must be right and unused bits zero. nullopt when
/// the text is not base64 or would give more than `bytes_max` bytes. O(length).
std::optional<std::string> base64_decode(std::string_view text, std::size_t bytes_max);

/// "-----BEGIN label-----" … with lines of 64.
std::string pem_encode(std::string_view label, std::string_view der);

/// The content of the first block with this label; nullopt when there is none or it is not base64
/// or would give more than `bytes_max` bytes.
std::optional<std::string> pem_decode(std::string_view label, std::string_view text,
                                      std::size_t bytes_max);

/// `text` as part of a URI: all but unreserved characters as %XX (RFC 3986 section 2.1).
std::string percent_encode(std::string_view text);

}  // namespace skerry::crypto
