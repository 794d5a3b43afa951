// Keys, certificates and PKCS#7: what is issued reads back field by field.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "crypto/certificate.hpp"
#include "crypto/hash.hpp"
#include "crypto/pkcs7.hpp"
#include "request_maker.hpp"

using namespace skerry;
using namespace std::chrono_literals;

namespace {

const WallTime now = wall_from_epoch(1'800'000'000'123);

struct Authority {
  crypto::PrivateKey key = *crypto::PrivateKey::generate();
  crypto::Certificate certificate;
  Authority() {
    crypto::CertificateProfile profile;
    profile.common_name = "Test CA";
    profile.spki_der = key.spki_der();
    profile.not_before = now - 1h;
    profile.not_after = now + 1000h;
    profile.is_authority = true;
    profile.path_length = 0;
    certificate = *crypto::issue_certificate(profile, {}, key);
  }
};

crypto::CertificateProfile leaf_profile(const std::string& spki_der) {
  crypto::CertificateProfile profile;
  profile.common_name = "leaf";
  profile.spki_der = spki_der;
  profile.not_before = now - 5min;
  profile.not_after = now + 24h;
  profile.client_authentication = true;
  profile.uris = {"urn:skerry:device:leaf"};
  profile.dns_names = {"leaf.example"};
  profile.addresses = {"192.0.2.7", "2001:db8::1"};
  return profile;
}

}  // namespace

TEST_CASE("a key survives PEM, and a passphrase or nonsense is a failure") {
  const auto key = crypto::PrivateKey::generate();
  REQUIRE(key.has_value());
  const auto again = crypto::PrivateKey::from_pem(key->pem());
  REQUIRE(again.has_value());
  CHECK(again->fingerprint() == key->fingerprint());
  CHECK(key->fingerprint() == crypto::sha256_hex(key->spki_der()));
  CHECK(key->pem().starts_with("-----BEGIN PRIVATE KEY-----"));
  CHECK_FALSE(crypto::PrivateKey::from_pem("").has_value());
  CHECK_FALSE(crypto::PrivateKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n").has_value());
  CHECK_FALSE(crypto::PrivateKey::from_pem(std::string(100'000, 'x')).has_value());
}

TEST_CASE("strong keys are accepted, weak and odd ones with a reason") {
  using test::spki_of;
  CHECK(crypto::check_public_key(spki_of(test::elliptic_key("P-256"))).empty());
  CHECK(crypto::check_public_key(spki_of(test::elliptic_key("P-384"))).empty());
  CHECK(crypto::check_public_key(spki_of(test::ed25519_key())).empty());
  CHECK(crypto::check_public_key(spki_of(test::rsa_key(2048))).empty());
  for (const test::Key& key : {test::rsa_key(1024), test::elliptic_key("P-521"),
                               test::elliptic_key("secp256k1"), test::elliptic_key("P-224")}) {
    CHECK_FALSE(crypto::check_public_key(spki_of(key)).empty());
  }
  CHECK_FALSE(crypto::check_public_key("").empty());
  CHECK_FALSE(crypto::check_public_key(spki_of(test::ed25519_key()) + "x").empty());
}

TEST_CASE("an elliptic curve that is spelled out instead of named is not accepted") {
  test::Key key = test::elliptic_key("P-256");
  EVP_PKEY_set_utf8_string_param(key.get(), "encoding", "explicit");
  CHECK_FALSE(crypto::check_public_key(test::spki_of(key)).empty());
}

TEST_CASE("an RSA key with public exponent 3 is not accepted") {
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, nullptr);
  BIGNUM* exponent = BN_new();
  BN_set_word(exponent, 3);
  EVP_PKEY* raw = nullptr;
  REQUIRE(EVP_PKEY_keygen_init(context) == 1);
  EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048);
  EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, exponent);
  REQUIRE(EVP_PKEY_keygen(context, &raw) == 1);
  const test::Key key{raw, EVP_PKEY_free};
  CHECK(crypto::check_public_key(test::spki_of(key)).find("exponent") != std::string_view::npos);
  BN_free(exponent);
  EVP_PKEY_CTX_free(context);
}

TEST_CASE("an issued certificate has the fields of its profile and no others") {
  const Authority authority;
  const auto key = *crypto::PrivateKey::generate();
  const auto issued =
      crypto::issue_certificate(leaf_profile(key.spki_der()), authority.certificate, authority.key);
  REQUIRE(issued.has_value());
  const auto fields = issued->fields();
  REQUIRE(fields.has_value());
  CHECK(fields->version == 3);
  CHECK(fields->common_name == "leaf");
  CHECK(fields->organization == "Skerry");
  CHECK(fields->spki_der == key.spki_der());
  CHECK(fields->fingerprint == key.fingerprint());
  CHECK(fields->not_before == std::chrono::floor<std::chrono::seconds>(now - 5min));
  CHECK(fields->not_after == std::chrono::floor<std::chrono::seconds>(now + 24h));
  CHECK(fields->uris == std::vector<std::string>{"urn:skerry:device:leaf"});
  CHECK(fields->dns_names == std::vector<std::string>{"leaf.example"});
  CHECK(fields->addresses == std::vector<std::string>{"192.0.2.7", "2001:db8::1"});
  CHECK_FALSE(fields->is_authority);
  CHECK(fields->has_key_usage);
  CHECK(fields->digital_signature);
  CHECK_FALSE(fields->certificate_sign);
  CHECK(fields->client_authentication);
  CHECK_FALSE(fields->server_authentication);
  CHECK_FALSE(fields->other_extended_usage);
  CHECK(fields->subject_key_id.size() == 40);
  CHECK(fields->authority_key_id == authority.certificate.fields()->subject_key_id);
  CHECK(issued->is_signed_by(authority.certificate));
  CHECK(X509_get_signature_nid(issued->native()) == NID_ecdsa_with_SHA256);
  CHECK((X509_get_extension_flags(issued->native()) & EXFLAG_INVALID) == 0);
  CHECK(X509_check_purpose(issued->native(), X509_PURPOSE_SSL_CLIENT, 0) == 1);
  CHECK(X509_check_purpose(issued->native(), X509_PURPOSE_SSL_SERVER, 0) == 0);
  for (const int nid : {NID_basic_constraints, NID_key_usage}) {
    const int at = X509_get_ext_by_NID(issued->native(), nid, -1);
    REQUIRE(at >= 0);
    CHECK(X509_EXTENSION_get_critical(X509_get_ext(issued->native(), at)) == 1);
  }
}

TEST_CASE("serials are 128 random bits and positive") {
  const Authority authority;
  const auto key = *crypto::PrivateKey::generate();
  std::set<std::string> seen;
  std::size_t longest = 0;
  for (int count = 0; count < 50; ++count) {
    const auto issued = crypto::issue_certificate(leaf_profile(key.spki_der()),
                                                  authority.certificate, authority.key);
    const std::string serial = issued->fields()->serial;
    CHECK(serial.find_first_not_of("0123456789abcdef") == std::string::npos);
    longest = std::max(longest, serial.size());
    CHECK(seen.insert(serial).second);
  }
  CHECK(longest == 32);
}

TEST_CASE("an authority says so, with its path length and the right to sign") {
  const Authority authority;
  const auto fields = authority.certificate.fields();
  CHECK(fields->is_authority);
  CHECK(fields->path_length == 0u);
  CHECK(fields->certificate_sign);
  CHECK_FALSE(fields->digital_signature);
  CHECK(authority.certificate.is_signed_by(authority.certificate));
}

TEST_CASE("a certificate never outlives its issuer") {
  const Authority authority;
  auto profile = leaf_profile(authority.key.spki_der());
  profile.not_after = now + 100'000h;
  const auto issued = crypto::issue_certificate(profile, authority.certificate, authority.key);
  CHECK(issued->fields()->not_after == authority.certificate.fields()->not_after);
  profile.not_before = now + 2000h;
  CHECK_FALSE(crypto::issue_certificate(profile, authority.certificate, authority.key).has_value());
}

TEST_CASE("a certificate is not signed by another authority of the same name") {
  const Authority right;
  const Authority wrong;
  const auto issued =
      crypto::issue_certificate(leaf_profile(right.key.spki_der()), right.certificate, right.key);
  CHECK(issued->is_signed_by(right.certificate));
  CHECK_FALSE(issued->is_signed_by(wrong.certificate));
}

TEST_CASE("a certificate cut anywhere, or with something behind it, is not one") {
  const Authority authority;
  const std::string der = authority.certificate.der();
  CHECK(crypto::Certificate::from_der(der).has_value());
  CHECK(crypto::Certificate::from_pem(authority.certificate.pem()).has_value());
  for (std::size_t size = 0; size < der.size(); ++size) {
    CHECK_FALSE(crypto::Certificate::from_der(std::string_view{der}.substr(0, size)).has_value());
  }
  CHECK_FALSE(crypto::Certificate::from_der(der + "x").has_value());
  CHECK_FALSE(crypto::Certificate::from_der(std::string(100'000, '0')).has_value());
}

TEST_CASE("impossible names and addresses are a failure, not a certificate") {
  const Authority authority;
  auto profile = leaf_profile(authority.key.spki_der());
  profile.addresses = {"not an address"};
  CHECK_FALSE(crypto::issue_certificate(profile, authority.certificate, authority.key).has_value());
  profile = leaf_profile(authority.key.spki_der());
  profile.common_name = std::string(65, 'x');
  CHECK_FALSE(crypto::issue_certificate(profile, authority.certificate, authority.key).has_value());
  profile = leaf_profile("no key");
  CHECK_FALSE(crypto::issue_certificate(profile, authority.certificate, authority.key).has_value());
}

TEST_CASE("PKCS#7 certs-only holds the certificates in their order and no signer") {
  const Authority first;
  const Authority second;
  const auto der = crypto::pkcs7_from({first.certificate, second.certificate});
  REQUIRE(der.has_value());
  const auto back = crypto::certificates_of_pkcs7(*der);
  REQUIRE(back.has_value());
  REQUIRE(back->size() == 2);
  CHECK((*back)[0].der() == first.certificate.der());
  CHECK((*back)[1].der() == second.certificate.der());
  for (std::size_t size = 0; size < der->size(); ++size) {
    CHECK_FALSE(crypto::certificates_of_pkcs7(std::string_view{*der}.substr(0, size)).has_value());
  }
}
