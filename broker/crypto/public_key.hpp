// Public keys that somebody else signs with, and the signatures of JSON Web Algorithms (RFC 7518,
// RFC 8037). Each algorithm takes one kind of key only, so that neither can be passed off as the
// other.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "crypto/failure.hpp"

struct evp_pkey_st;

namespace skerry::crypto {

enum class SignatureAlgorithm : std::uint8_t {
  rs256,  ///< RSASSA-PKCS1-v1_5 with SHA-256, RSA of 2048 bits and more
  es256,  ///< ECDSA on P-256 with SHA-256; the signature is r and s, 32 bytes each
  eddsa,  ///< Ed25519
};

/// Copies share the key. Verifying with one key on several threads at the same time is allowed.
class PublicKey {
 public:
  PublicKey() = default;

  /// SubjectPublicKeyInfo ("PUBLIC KEY") or certificate in PEM, of a kind that an algorithm takes.
  static Result<PublicKey, Failure> from_pem(std::string_view pem);
  /// Big-endian numbers as a JWK has them, decoded.
  static Result<PublicKey, Failure> from_rsa(std::string_view modulus, std::string_view exponent);
  static Result<PublicKey, Failure> from_p256(std::string_view x, std::string_view y);
  static Result<PublicKey, Failure> from_ed25519(std::string_view x);

  /// The one algorithm this key may be used with.
  SignatureAlgorithm algorithm() const noexcept { return algorithm_; }

  /// SHA-256 of its SubjectPublicKeyInfo in lower-case hex; the same whatever form it came in.
  std::string fingerprint() const;

  /// Is `signature` one of this key over `message`? About 0.1 ms. Never throws on what it is given.
  bool verify(std::string_view message, std::string_view signature) const;

 private:
  static Result<PublicKey, Failure> adopt(evp_pkey_st* owned);

  std::shared_ptr<evp_pkey_st> handle_;
  SignatureAlgorithm algorithm_ = SignatureAlgorithm::rs256;
};

}  // namespace skerry::crypto
