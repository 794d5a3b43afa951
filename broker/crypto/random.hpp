// Unpredictable bytes from the library's generator, which the operating system seeds. Any thread.
#pragma once

#include <cstddef>
#include <string>

namespace skerry::crypto {

/// `count` bytes. A generator that fails is no state to go on in: aborts.
std::string random_bytes(std::size_t count);

/// `bytes` random bytes in URL-safe base64 without padding: 32 give 43 characters of
/// `[A-Za-z0-9_-]`.
std::string random_token(std::size_t bytes = 32);

}  // namespace skerry::crypto
