// Tokens of services: the algorithms and the claims that count, and every way in which a token must
// not get in.
#include "auth/jwt.hpp"

#include <doctest/doctest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "auth/jwt_authenticator.hpp"
#include "crypto/encoding.hpp"
#include "unit/auth/auth_fixture.hpp"

using namespace skerry;
using namespace skerry::auth;
using namespace skerry::test;

namespace {

/// A key pair that signs as an issuer would.
struct Signer {
  EVP_PKEY* key = nullptr;
  std::string algorithm;

  explicit Signer(const std::string& name) : algorithm(name) {
    key = name == "RS256"   ? EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048})
          : name == "ES256" ? EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")
                            : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    REQUIRE(key != nullptr);
  }
  ~Signer() { EVP_PKEY_free(key); }
  Signer(const Signer&) = delete;
  Signer& operator=(const Signer&) = delete;

  std::string public_pem() const {
    BIO* out = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(out, key);
    char* data = nullptr;
    const long size = BIO_get_mem_data(out, &data);
    std::string pem(data, static_cast<std::size_t>(size));
    BIO_free(out);
    return pem;
  }

  std::string sign(const std::string& message) const {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    const EVP_MD* digest = algorithm == "EdDSA" ? nullptr : EVP_sha256();
    EVP_DigestSignInit(context, nullptr, digest, nullptr, key);
    const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
    std::size_t size = 0;
    EVP_DigestSign(context, nullptr, &size, bytes, message.size());
    std::string signature(size, '\0');
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size, bytes,
                   message.size());
    signature.resize(size);
    EVP_MD_CTX_free(context);
    return algorithm == "ES256" ? raw(signature) : signature;
  }

  static std::string raw(const std::string& der) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    std::string out(64, '\0');
    auto* bytes = reinterpret_cast<unsigned char*>(out.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(signature), bytes, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature), bytes + 32, 32);
    ECDSA_SIG_free(signature);
    return out;
  }

  std::string token(const std::string& claims, std::string header = "") const {
    if (header.empty()) {
      header = R"({"alg":")" + algorithm + R"(","typ":"JWT"})";
    }
    const std::string message =
        crypto::base64url_encode(header) + "." + crypto::base64url_encode(claims);
    return message + "." + crypto::base64url_encode(sign(message));
  }
};

constexpr std::int64_t now_seconds = 1'800'000'000;

std::string claims(const std::string& more = "", std::int64_t expires = now_seconds + 3600) {
  return R"({"iss":"https://idp.example","aud":["other","skerry"],"sub":"historian","exp":)" +
         std::to_string(expires) + more + "}";
}

JwtIssuer issuer(const std::string& keys) {
  JwtIssuer made;
  made.name = "plant";
  made.issuer = "https://idp.example";
  made.audience = "skerry";
  const auto read = read_jwt_keys(keys);
  REQUIRE_MESSAGE(read.has_value(), (read.has_error() ? read.error() : ""));
  made.keys = *read;
  return made;
}

std::string outcome(const std::string& token, const std::vector<JwtIssuer>& issuers) {
  const auto subject = judge_jwt(token, issuers, start_of_test);
  return subject ? subject->service + " " + subject->policy : subject.error().what;
}

}  // namespace

TEST_CASE("RS256, ES256 and EdDSA are accepted from the issuer's key, and no other signature") {
  for (const char* algorithm : {"RS256", "ES256", "EdDSA"}) {
    CAPTURE(algorithm);
    const Signer signer{algorithm};
    const Signer stranger{algorithm};
    const std::vector issuers{issuer(signer.public_pem())};
    const std::string token = signer.token(claims());
    CHECK(outcome(token, issuers) == "historian@plant service-read");
    CHECK(outcome(stranger.token(claims()), issuers) ==
          "the token's signature is not one of its issuer");
    // Any changed character of the signed part ends it.
    for (const std::size_t at : {std::size_t{3}, token.find('.') + 5}) {
      std::string changed = token;
      changed[at] = changed[at] == 'A' ? 'B' : 'A';
      CHECK(outcome(changed, issuers).find("historian") == std::string::npos);
    }
    // Cut anywhere, it is never good.
    for (std::size_t size = 0; size < token.size(); size += 7) {
      CHECK_FALSE(judge_jwt(token.substr(0, size), issuers, start_of_test).has_value());
    }
  }
}

TEST_CASE("no algorithm can be passed off as another") {
  const Signer rsa{"RS256"};
  const Signer elliptic{"ES256"};
  const std::vector issuers{issuer(rsa.public_pem() + elliptic.public_pem())};
  CHECK(outcome(rsa.token(claims()), issuers) == "historian@plant service-read");
  CHECK(outcome(elliptic.token(claims()), issuers) == "historian@plant service-read");
  for (const char* header :
       {R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":"HS256"})", R"({"alg":"RS384"})",
        R"({"alg":"PS256"})", R"({"alg":"ES384"})", R"({"alg":["RS256"]})", R"({})", R"([])",
        R"({"alg":"RS256","crit":["exp"]})", R"({"alg":"RS256","b64":false})"}) {
    CAPTURE(header);
    CHECK(outcome(rsa.token(claims(), header), issuers).find("historian") == std::string::npos);
  }
  CHECK(outcome(rsa.token(claims(), R"({"alg":"ES256"})"), issuers) ==
        "the token's signature is not one of its issuer");
  // "none" without a signature, as the attack has it.
  const std::string unsigned_token = crypto::base64url_encode(R"({"alg":"none"})") + "." +
                                     crypto::base64url_encode(claims()) + ".";
  CHECK(outcome(unsigned_token, issuers) == "the token's algorithm is not RS256, ES256 or EdDSA");
}

TEST_CASE("claims count: expiry, beginning, issue, audience, issuer, name") {
  const Signer signer{"EdDSA"};
  const std::vector issuers{issuer(signer.public_pem())};
  const auto with = [&](const std::string& text) { return outcome(signer.token(text), issuers); };
  CHECK(with(claims("", now_seconds - 59)) == "historian@plant service-read");  // the leeway
  CHECK(with(claims("", now_seconds - 60)) == "the token has expired");
  CHECK(with(claims(R"(,"nbf":)" + std::to_string(now_seconds + 60))) ==
        "historian@plant service-read");
  CHECK(with(claims(R"(,"nbf":)" + std::to_string(now_seconds + 61))) ==
        "the token is not valid yet (nbf)");
  CHECK(with(claims(R"(,"iat":)" + std::to_string(now_seconds + 61))) ==
        "the token was issued in the future (iat)");
  CHECK(with(claims(R"(,"nbf":"soon")")) == "the token is not valid yet (nbf)");
  CHECK(with(claims(R"(,"iat":1e300)")) == "the token was issued in the future (iat)");
  const std::string base = R"({"iss":"https://idp.example","sub":"historian","aud":"skerry")";
  CHECK(with(base + "}") == "the token has no usable time of expiry (exp)");
  CHECK(with(base + R"(,"exp":"1900000000"})") == "the token has no usable time of expiry (exp)");
  CHECK(with(base + R"(,"exp":1800000100.5})") == "historian@plant service-read");
  CHECK(with(R"({"iss":"https://idp.example","sub":"x","exp":1800000100})") ==
        "the token is for another audience (aud)");
  CHECK(with(R"({"iss":"https://idp.example","sub":"x","exp":1800000100,"aud":"skerry2"})") ==
        "the token is for another audience (aud)");
  CHECK(with(R"({"iss":"https://idp.example.evil","aud":"skerry","sub":"x","exp":1800000100})") ==
        "the token's issuer is not known here");
  for (const char* name : {"", "a/b", "#", "+", "sub", "$x", "devices/#"}) {
    CHECK(with(R"({"iss":"https://idp.example","aud":"skerry","exp":1800000100,"sub":")" +
               std::string{name} + "\"}") == "the token does not name a service");
  }
}

TEST_CASE("a token that is good for longer than its issuer may say is refused") {
  const Signer signer{"EdDSA"};
  std::vector issuers{issuer(signer.public_pem())};
  const auto with = [&](std::int64_t issued, std::int64_t life) {
    const std::string more =
        issued == 0 ? std::string{} : R"(,"iat":)" + std::to_string(now_seconds + issued);
    return outcome(signer.token(claims(more, now_seconds + issued + life)), issuers);
  };
  constexpr std::int64_t day = 24 * 3600;
  constexpr const char* too_long =
      "the token is good for longer than its issuer may say (max_life)";
  CHECK(with(0, day + 60) == "historian@plant service-read");
  CHECK(with(0, day + 61) == too_long);
  CHECK(with(0, 10 * 365 * day) == too_long);
  // On its last day it is no better; an `iat` ahead of us gives nothing.
  CHECK(with(-10 * 365 * day, 10 * 365 * day + 60) == too_long);
  CHECK(with(-day, day + 60) == "historian@plant service-read");
  CHECK(with(60, day) == "historian@plant service-read");
  CHECK(with(60, day + 1) == too_long);
  issuers.front().max_life = std::chrono::hours{1};
  CHECK(with(0, 3661) == too_long);
  CHECK(with(0, 3660) == "historian@plant service-read");
}

TEST_CASE("a claim may name the policy, but only those that its issuer may give") {
  const Signer signer{"ES256"};
  JwtIssuer plant = issuer(signer.public_pem());
  plant.policy_claim = "skerry_policy";
  plant.policies = {"service-read", "line-3"};
  plant.service_prefix = "plant-";
  const std::vector issuers{plant};
  CHECK(outcome(signer.token(claims(R"(,"skerry_policy":"line-3")")), issuers) ==
        "plant-historian line-3");
  CHECK(outcome(signer.token(claims(R"(,"skerry_policy":"service-write")")), issuers) ==
        "the token's policy is not one that its issuer may give");
  CHECK(outcome(signer.token(claims()), issuers) ==
        "the token's policy is not one that its issuer may give");
}

TEST_CASE("keys come as PEM or as a JWK Set") {
  const Signer elliptic{"ES256"};
  unsigned char point[65];
  std::size_t size = 0;
  REQUIRE(EVP_PKEY_get_octet_string_param(elliptic.key, "pub", point, sizeof point, &size) == 1);
  REQUIRE(size == 65);
  const std::string bytes(reinterpret_cast<char*>(point), size);
  const std::string jwk = R"({"kty":"EC","crv":"P-256","kid":"one","use":"sig","x":")" +
                          crypto::base64url_encode(bytes.substr(1, 32)) + R"(","y":")" +
                          crypto::base64url_encode(bytes.substr(33)) + "\"}";
  const std::string set =
      R"({"keys":[{"kty":"oct","k":"AAAA"},{"kty":"RSA","use":"enc"},)" + jwk + "]}";
  const std::vector issuers{issuer(set)};
  REQUIRE(issuers[0].keys.size() == 1);
  CHECK(issuers[0].keys[0].id == "one");
  CHECK(outcome(elliptic.token(claims(), R"({"alg":"ES256","kid":"one"})"), issuers) ==
        "historian@plant service-read");
  CHECK(outcome(elliptic.token(claims(), R"({"alg":"ES256","kid":"two"})"), issuers) ==
        "the token's signature is not one of its issuer");
  for (const char* text :
       {"", "rubbish", "{}", R"({"keys":[]})", R"({"keys":[{"kty":"oct","k":"AAAA"}]})",
        R"({"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}]})",
        R"({"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]})",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}) {
    CAPTURE(text);
    const auto keys = read_jwt_keys(text);
    REQUIRE_FALSE(keys.has_value());
    CHECK_FALSE(keys.error().empty());
  }
}

TEST_CASE("an identity by token ends with it, with its issuer, and with its policy") {
  const Signer signer{"EdDSA"};
  JwtAuthenticator authenticator{[] { return start_of_test; }};
  authenticator.replace({issuer(signer.public_pem())});
  plugin::Credentials credentials;
  credentials.user_name = "jwt";
  credentials.password = signer.token(claims());
  std::optional<plugin::Identity> identity;
  authenticator.authenticate(credentials, {}, [&](auto answer) { identity = *answer; });
  REQUIRE(identity);
  CHECK(identity->owner() == "service:historian@plant");
  CHECK(identity->policy == plugin::PolicyKind::service_read);
  CHECK(identity->not_after == wall_from_epoch((now_seconds + 3660) * 1000));
  using State = plugin::Standing::State;
  CHECK(authenticator.standing(*identity, start_of_test).state == State::valid);
  CHECK(authenticator.standing(*identity, identity->not_after).state == State::expired);
  // The key that has signed it is taken away: what it vouched for goes, another key or not.
  JwtIssuer both = issuer(signer.public_pem());
  const JwtIssuer rotated = issuer(Signer{"EdDSA"}.public_pem());
  both.keys.insert(both.keys.begin(), rotated.keys.front());
  authenticator.replace({both});
  CHECK(authenticator.standing(*identity, start_of_test).state == State::valid);
  authenticator.replace({rotated});
  CHECK(authenticator.standing(*identity, start_of_test).state == State::denied);
  JwtIssuer other = issuer(signer.public_pem());
  other.policy = "service-write";
  authenticator.replace({other});
  CHECK(authenticator.standing(*identity, start_of_test).state == State::denied);
  authenticator.replace({});
  CHECK(authenticator.standing(*identity, start_of_test).state == State::denied);
}
