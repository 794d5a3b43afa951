// Private keys and what is said about public ones. A public key travels as SubjectPublicKeyInfo in
// DER (RFC 5280 section 4.1.2.7); its fingerprint is the SHA-256 of exactly those bytes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "crypto/failure.hpp"

struct evp_pkey_st;

namespace skerry::crypto {

/// A private key. Copies share it; the last one wipes it. Signing with one key on several threads
/// at the same time is allowed.
class PrivateKey {
 public:
  /// Empty: only assignment and `operator bool` are allowed.
  PrivateKey() = default;
  explicit PrivateKey(std::shared_ptr<evp_pkey_st> handle) : handle_(std::move(handle)) {}

  /// A new P-256 key.
  static Result<PrivateKey, Failure> generate();
  /// PKCS#8 or traditional PEM without passphrase, at most 64 KiB, of a kind that check_public_key
  /// accepts.
  static Result<PrivateKey, Failure> from_pem(std::string_view pem);

  explicit operator bool() const noexcept { return handle_ != nullptr; }

  /// Unencrypted PKCS#8.
  std::string pem() const;
  /// SubjectPublicKeyInfo in DER.
  std::string spki_der() const;
  /// SHA-256 of spki_der(), lower-case hex.
  std::string fingerprint() const;

  evp_pkey_st* native() const noexcept { return handle_.get(); }

 private:
  std::shared_ptr<evp_pkey_st> handle_;
};

/// Empty when a public key (SubjectPublicKeyInfo in DER) is one we certify: P-256, P-384, Ed25519,
/// or RSA of 2048 to 4096 bits with a public exponent of at least 65537. Otherwise a static
/// sentence that says what is wrong with it.
std::string_view check_public_key(std::string_view spki_der);
/// The same for a key that has been decoded.
std::string_view check_public_key(const evp_pkey_st* key);

}  // namespace skerry::crypto
