// PKCS#7 "certs-only": a SignedData without a signer, the form in which EST hands out certificates
// (RFC 7030 section 4.1.3, RFC 5652 section 5).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crypto/certificate.hpp"

namespace skerry::crypto {

/// DER that holds these certificates in this order.
Result<std::string, Failure> pkcs7_from(const std::vector<Certificate>& certificates);

/// The certificates of a certs-only message in their order; at most certificates_max of them.
Result<std::vector<Certificate>, Failure> certificates_of_pkcs7(std::string_view der);

inline constexpr int certificates_max = 16;

}  // namespace skerry::crypto
