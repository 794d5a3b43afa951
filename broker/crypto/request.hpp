// Certificate requests (PKCS#10, RFC 2986). All that counts in one is its public key and the proof
// that the sender holds it: of subject and extensions a caller may only ask whether they are those
// of a certificate.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "crypto/certificate.hpp"
#include "crypto/failure.hpp"
#include "crypto/key.hpp"

struct X509_req_st;

namespace skerry::crypto {

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

  /// Are subject and alternative names, as far as the request gives any, exactly those of
  /// `certificate` (RFC 7030 section 4.2.2)? False as well for names that cannot be read.
  bool keeps_names_of(const Certificate& certificate) const;

  const std::string& spki_der() const noexcept { return spki_der_; }
  /// SHA-256 of spki_der(), lower-case hex.
  const std::string& fingerprint() const noexcept { return fingerprint_; }

 private:
  std::shared_ptr<X509_req_st> handle_;
  std::string spki_der_;
  std::string fingerprint_;
};

/// A request in DER over the public half of `key`, signed by it, for clients: the agent and the
/// CLI.
Result<std::string, Failure> make_request(const PrivateKey& key, std::string_view common_name);

}  // namespace skerry::crypto
