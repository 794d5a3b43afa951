// CsrAttrs (RFC 7030 section 4.5.2, RFC 8951 section 3.1): what a server would like to see in the
// requests of its clients, here the kinds of keys and signatures that check_public_key() and
// CertificateRequest::check_key() accept.
#pragma once

#include <string>

namespace skerry::crypto {

/// In DER. The first kind of key is the one we would rather have.
///
///   SEQUENCE {
///     ecdsa-with-SHA256
///     SEQUENCE { id-ecPublicKey, SET { secp256r1, secp384r1 } }
///     ecdsa-with-SHA384
///     id-Ed25519
///     SEQUENCE { rsaEncryption, SET { INTEGER 2048 } }
///     sha256WithRSAEncryption
///   }
std::string csr_attributes_der();

}  // namespace skerry::crypto
