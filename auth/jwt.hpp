// JSON Web Tokens (RFC 7519) signed by others: the keys of an issuer, and the judgement of one
// token. Asymmetric algorithms only: RS256, ES256, EdDSA; "none" and HMAC do not exist here.
//
// Order of judgement: size and form → header → issuer → signature → claims. Nothing of the claims
// but the issuer's name is looked at before the signature holds.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"
#include "base/result.hpp"
#include "crypto/public_key.hpp"

namespace skerry::auth {

struct JwtKey {
  std::string id;  ///< `kid`; empty: for any
  crypto::PublicKey key;
};

/// Keys in PEM, one block after the other, or a JWK Set (RFC 7517) by its first character. Keys of
/// a set that are for encryption or of a kind not used here are left out; a set without any usable
/// key is a failure. The sentence says what is wrong.
Result<std::vector<JwtKey>, std::string> read_jwt_keys(std::string_view text);

/// Who signs tokens, and what is taken from them.
struct JwtIssuer {
  std::string name;      ///< for logs and audit
  std::string issuer;    ///< `iss`, compared as text
  std::string audience;  ///< must be among `aud`
  std::vector<JwtKey> keys;
  std::chrono::seconds leeway{60};
  std::chrono::seconds max_life = std::chrono::hours{24};  ///< of a token, from now and from `iat`
  std::string service_claim = "sub";                       ///< whose value is the service's name
  /// Put before it: the names are then those of services, registered ones included, and so are
  /// their sessions. Empty: "@" and the issuer's name are put behind it, which no registered
  /// service has.
  std::string service_prefix;
  std::string policy = "service-read";
  std::string policy_claim;           ///< empty: `policy` for all
  std::vector<std::string> policies;  ///< that the claim may name
};

struct JwtFailure {
  const char* what = "";    ///< static: for the peer and the audit
  std::string issuer = {};  ///< name of the issuer once the signature holds; empty before
};
[[noreturn]] void throw_exception_from_error(const JwtFailure& failure,
                                             const boost::source_location& where);

struct JwtSubject {
  const JwtIssuer* issuer = nullptr;
  std::string service;
  std::string policy;
  WallTime expires{};
  std::string key = {};  ///< fingerprint of the key that has signed it
};

/// Judges a token at `now`. At most two signatures' worth of work.
Result<JwtSubject, JwtFailure> judge_jwt(std::string_view token,
                                         const std::vector<JwtIssuer>& issuers, WallTime now);

/// Three parts with dots between, the first of which begins like a JSON object in base64url.
bool looks_like_jwt(std::string_view text) noexcept;

}  // namespace skerry::auth
