// Certificate requests (PKCS#10, RFC 2986). All that counts in one is its public key and the proof
// that the sender holds it: of the names a caller may ask whether they are those that it expects,
// and for a text to show to a human.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "crypto/failure.hpp"
#include "crypto/key.hpp"

struct X509_req_st;

namespace skerry::crypto {

/// The names that a certificate has and a renewal of it must keep.
struct RequestNames {
  std::string common_name;
  std::string organization;
  std::string uri;  ///< the only alternative name
};

/// What a request says of its sender, for a human to look at; nothing of it is proven.
struct RequestSubject {
  std::string common_name;  ///< empty when absent or repeated
  std::string text;         ///< RFC 4514; may be long, control characters are escaped
};

/// A request that has been parsed, with nothing in it believed yet. One thread at a time.
class CertificateRequest {
 public:
  /// One request and nothing behind it, at most enrolment_bytes_max. Costs no signature.
  static Result<CertificateRequest, Failure> from_der(std::string_view der);

  /// Ask this before the signature: empty when the key is one we certify and the signature is by
  /// SHA-256 or better, otherwise a static sentence.
  std::string_view check_key() const;

  /// Has the holder of the key signed this request? Costs one verification.
  bool is_signed_by_own_key() const;

  /// Are subject and alternative names, as far as the request gives any, exactly these (RFC 7030
  /// section 4.2.2)? False as well for names that cannot be read.
  bool keeps_names(const RequestNames& expected) const;

  RequestSubject subject() const;
  /// "EC P-256", "EC P-384", "Ed25519", "RSA 3072" of a key that check_key() accepts.
  std::string key_type() const;

  const std::string& spki_der() const noexcept { return spki_der_; }
  /// SHA-256 of spki_der(), lower-case hex.
  const std::string& fingerprint() const noexcept { return fingerprint_; }

 private:
  std::shared_ptr<X509_req_st> handle_;
  std::string spki_der_;
  std::string fingerprint_;
};

/// A request in DER over the public half of `key`, signed by it, for clients: the agent and the
/// CLI. An empty name leaves the subject out, as a renewal does.
Result<std::string, Failure> make_request(const PrivateKey& key, std::string_view common_name);

}  // namespace skerry::crypto
