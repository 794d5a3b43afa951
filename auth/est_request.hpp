// What a POST to EST says, taken apart from cheap to dear and without a look at any registry: media
// type, base64, ASN.1, kind of key, the TLS client's key, HTTP Basic.
#pragma once

#include <optional>
#include <string>

#include "auth/refusal.hpp"
#include "crypto/request.hpp"
#include "http/message.hpp"

namespace skerry::auth {

/// From `Authorization: Basic` (RFC 7617).
struct BasicCredentials {
  std::string user;
  std::string password;
};

struct EstRequest {
  crypto::CertificateRequest csr;  ///< its key is one we certify; its signature is not verified yet
  std::optional<BasicCredentials> credentials;
};

/// No cryptography but hashes.
Result<EstRequest, Refusal> read_est_request(const http::Request& request);

/// Refuses a TLS client certificate over another key than that of the request; nothing without a
/// certificate.
std::optional<Refusal> refuse_other_key(const http::Request& request,
                                        const crypto::CertificateRequest& csr);

}  // namespace skerry::auth
