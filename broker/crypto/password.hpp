// Passwords as argon2id hashes (RFC 9106) in the encoded form that names its own parameters. Slow
// on purpose, some 20 ms and 19 MiB each: never on a core, and not for input nobody has
// rate-limited.
#pragma once

#include <string>
#include <string_view>

#include "crypto/failure.hpp"

namespace skerry::crypto {

/// Longer passwords are refused, so that nobody makes hashing slower.
inline constexpr std::size_t password_bytes_max = 1024;

/// "$argon2id$v=19$m=19456,t=2,p=1$…" with a random salt.
Result<std::string, Failure> hash_password(std::string_view password);

/// Does the password fit the hash? False as well for a hash that cannot be read.
bool verify_password(std::string_view password, const std::string& encoded);

}  // namespace skerry::crypto
