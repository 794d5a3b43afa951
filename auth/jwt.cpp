#include "auth/jwt.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cmath>
#include <stdexcept>

#include "auth/device.hpp"
#include "base/limits.hpp"
#include "crypto/encoding.hpp"

namespace skerry::auth {
namespace {

namespace json = boost::json;
using crypto::SignatureAlgorithm;

/// Keys without a matching `kid` that are tried; a token must not buy more work.
constexpr std::size_t keys_tried_max = 2;
constexpr double seconds_max = 253'402'300'799;  // the year 9999

/// Base64url without padding and without anything else (RFC 7515 section 2).
std::optional<std::string> decode_part(std::string_view text) {
  std::string standard;
  standard.reserve(text.size() + 3);
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!plain && c != '-' && c != '_') {
      return std::nullopt;
    }
    standard += c == '-' ? '+' : c == '_' ? '/' : c;
  }
  standard.append((4 - standard.size() % 4) % 4, '=');
  return crypto::base64_decode(standard, jwt_bytes_max);
}

std::optional<json::object> parse_object(std::string_view text) {
  json::parse_options options;
  options.max_depth = jwt_depth_max;
  json::error_code error;
  json::value value = json::parse(text, error, {}, options);
  if (error || !value.is_object()) {
    return std::nullopt;
  }
  return std::move(value.get_object());
}

/// The text of a member; nullopt when it is absent or something else.
std::optional<std::string_view> text_of(const json::object& object, std::string_view name) {
  const json::value* member = object.if_contains(name);
  if (member == nullptr || !member->is_string()) {
    return std::nullopt;
  }
  return std::string_view{member->get_string()};
}

enum class Found : std::uint8_t { absent, ok, bad };

/// A NumericDate (RFC 7519 section 2), which may have a fraction.
Found time_of(const json::object& claims, std::string_view name, WallTime& out) {
  const json::value* member = claims.if_contains(name);
  if (member == nullptr) {
    return Found::absent;
  }
  json::error_code error;
  const double seconds = member->is_number() ? member->to_number<double>(error) : -1;
  if (error || !std::isfinite(seconds) || seconds < 0 || seconds > seconds_max) {
    return Found::bad;
  }
  out = wall_from_epoch(static_cast<std::int64_t>(seconds * 1000));
  return Found::ok;
}

bool has_audience(const json::object& claims, std::string_view wanted) {
  const json::value* audience = claims.if_contains("aud");
  if (audience == nullptr) {
    return false;
  }
  if (audience->is_string()) {
    return std::string_view{audience->get_string()} == wanted;
  }
  return audience->is_array() &&
         std::any_of(audience->get_array().begin(), audience->get_array().end(),
                     [&](const json::value& entry) {
                       return entry.is_string() && std::string_view{entry.get_string()} == wanted;
                     });
}

std::optional<SignatureAlgorithm> algorithm_of(std::string_view name) {
  return name == "RS256"   ? std::optional{SignatureAlgorithm::rs256}
         : name == "ES256" ? std::optional{SignatureAlgorithm::es256}
         : name == "EdDSA" ? std::optional{SignatureAlgorithm::eddsa}
                           : std::nullopt;
}

struct Header {
  SignatureAlgorithm algorithm = SignatureAlgorithm::rs256;
  std::string key_id;
};

Result<Header, JwtFailure> read_header(std::string_view part) {
  const auto bytes = decode_part(part);
  const auto object = bytes ? parse_object(*bytes) : std::nullopt;
  if (!object) {
    return JwtFailure{"the token's header is not JSON in base64url"};
  }
  const auto name = text_of(*object, "alg");
  const auto algorithm = name ? algorithm_of(*name) : std::nullopt;
  if (!algorithm) {
    return JwtFailure{"the token's algorithm is not RS256, ES256 or EdDSA"};
  }
  if (object->contains("crit")) {  // RFC 7515 section 4.1.11: what is not understood is refused
    return JwtFailure{"the token needs an extension that is not known here"};
  }
  if (object->contains("enc") || object->contains("b64")) {
    return JwtFailure{"the token is not a plain signed one"};
  }
  return Header{*algorithm, std::string{text_of(*object, "kid").value_or("")}};
}

/// The key that has signed it; null: none of the issuer's.
const JwtKey* signer_of(const JwtIssuer& issuer, const Header& header, std::string_view message,
                        std::string_view signature) {
  std::size_t tried = 0;
  for (const JwtKey& key : issuer.keys) {
    const bool is_meant = header.key_id.empty() || key.id.empty() || key.id == header.key_id;
    if (!is_meant || key.key.algorithm() != header.algorithm) {
      continue;
    }
    if (key.key.verify(message, signature)) {
      return &key;
    }
    if (++tried == keys_tried_max) {
      break;
    }
  }
  return nullptr;
}

/// The claims of a token whose signature holds.
Result<JwtSubject, JwtFailure> judge_claims(const json::object& claims, const JwtIssuer& issuer,
                                            WallTime now) {
  const auto refuse = [&](const char* what) { return JwtFailure{what, issuer.name}; };
  WallTime expires;
  WallTime other;
  if (time_of(claims, "exp", expires) != Found::ok) {
    return refuse("the token has no usable time of expiry (exp)");
  }
  if (expires + issuer.leeway <= now) {
    return refuse("the token has expired");
  }
  const Found begins = time_of(claims, "nbf", other);
  if (begins == Found::bad || (begins == Found::ok && other > now + issuer.leeway)) {
    return refuse("the token is not valid yet (nbf)");
  }
  const Found issued = time_of(claims, "iat", other);
  if (issued == Found::bad || (issued == Found::ok && other > now + issuer.leeway)) {
    return refuse("the token was issued in the future (iat)");
  }
  const WallTime begin = issued == Found::ok ? std::min(other, now) : now;
  if (expires > begin + issuer.max_life + issuer.leeway) {
    return refuse("the token is good for longer than its issuer may say (max_life)");
  }
  if (!has_audience(claims, issuer.audience)) {
    return refuse("the token is for another audience (aud)");
  }
  JwtSubject subject{&issuer, issuer.service_prefix, issuer.policy, expires + issuer.leeway};
  subject.service += text_of(claims, issuer.service_claim).value_or("");
  if (!is_valid_device_id(subject.service)) {
    return refuse("the token does not name a service");
  }
  if (issuer.service_prefix.empty()) {
    subject.service += "@" + issuer.name;
  }
  if (!issuer.policy_claim.empty()) {
    const auto policy = text_of(claims, issuer.policy_claim);
    if (!policy || std::find(issuer.policies.begin(), issuer.policies.end(), *policy) ==
                       issuer.policies.end()) {
      return refuse("the token's policy is not one that its issuer may give");
    }
    subject.policy = *policy;
  }
  return subject;
}

std::string unusable(const crypto::Failure& failure) {
  return std::string{"a key cannot be used: "} + failure.what;
}

Result<crypto::PublicKey, crypto::Failure> key_of_jwk(const json::object& jwk) {
  const auto part = [&](std::string_view name) {
    const auto text = text_of(jwk, name);
    return text ? decode_part(*text).value_or("") : std::string{};
  };
  const std::string_view type = text_of(jwk, "kty").value_or("");
  const std::string_view curve = text_of(jwk, "crv").value_or("");
  if (type == "RSA") {
    return crypto::PublicKey::from_rsa(part("n"), part("e"));
  }
  if (type == "EC" && curve == "P-256") {
    return crypto::PublicKey::from_p256(part("x"), part("y"));
  }
  return crypto::PublicKey::from_ed25519(part("x"));
}

/// Is this member of a set a key that we would use at all?
bool is_for_us(const json::object& jwk) {
  const std::string_view type = text_of(jwk, "kty").value_or("");
  const std::string_view curve = text_of(jwk, "crv").value_or("");
  const std::string_view use = text_of(jwk, "use").value_or("sig");
  const std::string_view algorithm = text_of(jwk, "alg").value_or("");
  const bool is_known =
      type == "RSA" || (type == "EC" && curve == "P-256") || (type == "OKP" && curve == "Ed25519");
  const std::string_view wanted = type == "RSA" ? "RS256" : type == "EC" ? "ES256" : "EdDSA";
  return is_known && use == "sig" && (algorithm.empty() || algorithm == wanted);
}

Result<std::vector<JwtKey>, std::string> read_jwk_set(std::string_view text) {
  const auto set = parse_object(text);
  const json::value* keys = set ? set->if_contains("keys") : nullptr;
  if (keys == nullptr || !keys->is_array()) {
    return std::string{"this is no JWK Set: {\"keys\": […]} is needed"};
  }
  std::vector<JwtKey> found;
  for (const json::value& entry : keys->get_array()) {
    if (!entry.is_object() || !is_for_us(entry.get_object())) {
      continue;
    }
    auto key = key_of_jwk(entry.get_object());
    if (!key) {
      return unusable(key.error());
    }
    found.push_back({std::string{text_of(entry.get_object(), "kid").value_or("")}, *key});
  }
  return found;
}

Result<std::vector<JwtKey>, std::string> read_pem_keys(std::string_view text) {
  constexpr std::string_view begin = "-----BEGIN ";
  std::vector<JwtKey> found;
  for (std::size_t at = text.find(begin); at != std::string_view::npos;) {
    const std::size_t next = text.find(begin, at + begin.size());
    auto key = crypto::PublicKey::from_pem(text.substr(at, next - at));
    if (!key) {
      return unusable(key.error());
    }
    found.push_back({{}, *key});
    at = next;
  }
  return found;
}

}  // namespace

void throw_exception_from_error(const JwtFailure& failure, const boost::source_location&) {
  throw std::runtime_error(failure.what);
}

Result<std::vector<JwtKey>, std::string> read_jwt_keys(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const bool is_json = first != std::string_view::npos && text[first] == '{';
  auto keys = is_json ? read_jwk_set(text) : read_pem_keys(text);
  if (keys && keys->empty()) {
    return std::string{"there is no key for RS256, ES256 or EdDSA in it"};
  }
  if (keys && keys->size() > jwt_keys_max) {
    return "there are more than " + std::to_string(jwt_keys_max) + " keys in it";
  }
  return keys;
}

Result<JwtSubject, JwtFailure> judge_jwt(std::string_view token,
                                         const std::vector<JwtIssuer>& issuers, WallTime now) {
  const std::size_t first = token.find('.');
  const std::size_t second = first == token.npos ? token.npos : token.find('.', first + 1);
  if (token.size() > jwt_bytes_max || second == token.npos ||
      token.find('.', second + 1) != token.npos) {
    return JwtFailure{"this is no token of three parts"};
  }
  const auto header = read_header(token.substr(0, first));
  if (!header) {
    return header.error();
  }
  const auto payload = decode_part(token.substr(first + 1, second - first - 1));
  const auto signature = decode_part(token.substr(second + 1));
  const auto claims = payload ? parse_object(*payload) : std::nullopt;
  if (!claims || !signature) {
    return JwtFailure{"the token's claims are not JSON in base64url"};
  }
  const std::string_view name = text_of(*claims, "iss").value_or("");
  const auto issuer = std::find_if(issuers.begin(), issuers.end(),
                                   [&](const JwtIssuer& known) { return known.issuer == name; });
  if (issuer == issuers.end()) {
    return JwtFailure{"the token's issuer is not known here"};
  }
  const JwtKey* key = signer_of(*issuer, *header, token.substr(0, second), *signature);
  if (key == nullptr) {
    return JwtFailure{"the token's signature is not one of its issuer"};
  }
  auto subject = judge_claims(*claims, *issuer, now);
  if (subject) {
    subject->key = key->key.fingerprint();
  }
  return subject;
}

bool looks_like_jwt(std::string_view text) noexcept {
  return text.starts_with("eyJ") && std::count(text.begin(), text.end(), '.') == 2;
}

}  // namespace skerry::auth
