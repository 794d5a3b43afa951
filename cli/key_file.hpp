// Keys of devices as files: what their fingerprint is, and making a new one. A private key is read
// to compute with and never leaves this machine.
#pragma once

#include <string>
#include <string_view>

#include "crypto/key.hpp"

namespace skerry::cli {

/// SHA-256 of the SubjectPublicKeyInfo as 64 lower-case hex digits, of a private key, a public key
/// or a certificate in PEM. Throws Failure that names `path`.
std::string fingerprint_of_pem(std::string_view pem, const std::string& path);

/// The fingerprint in the form the server takes: colons and case do not matter. Throws Failure
/// (usage) when it is not 64 hex digits.
std::string normal_fingerprint(std::string_view text);

/// Throws Failure.
crypto::PrivateKey read_private_key(const std::string& path);

/// Makes a P-256 key in `path`, 0600, which must not exist. Throws Failure.
crypto::PrivateKey generate_key_file(const std::string& path);

/// Throws Failure (usage) unless `id` is `[A-Za-z0-9][A-Za-z0-9._~-]{0,63}`: it becomes part of
/// URLs and file names here.
void check_device_id(const std::string& id);

}  // namespace skerry::cli
