#include "crypto/password.hpp"

#include <argon2.h>

#include "crypto/random.hpp"

namespace skerry::crypto {

namespace {

constexpr std::uint32_t passes = 2;
constexpr std::uint32_t memory_kib = 19 * 1024;
constexpr std::uint32_t lanes = 1;
constexpr std::size_t salt_bytes = 16;
constexpr std::size_t hash_bytes = 32;
constexpr std::size_t encoded_bytes_max = 256;

}  // namespace

Result<std::string, Failure> hash_password(std::string_view password) {
  if (password.empty() || password.size() > password_bytes_max) {
    return Failure{"a password has 1 to 1024 bytes"};
  }
  const std::string salt = random_bytes(salt_bytes);
  char encoded[encoded_bytes_max] = {};
  const int outcome =
      argon2id_hash_encoded(passes, memory_kib, lanes, password.data(), password.size(),
                            salt.data(), salt.size(), hash_bytes, encoded, sizeof encoded);
  if (outcome != ARGON2_OK) {
    return Failure{argon2_error_message(outcome)};
  }
  return std::string{encoded};
}

bool verify_password(std::string_view password, const std::string& encoded) {
  if (password.empty() || password.size() > password_bytes_max ||
      encoded.size() >= encoded_bytes_max) {
    return false;
  }
  return argon2id_verify(encoded.c_str(), password.data(), password.size()) == ARGON2_OK;
}

}  // namespace skerry::crypto
