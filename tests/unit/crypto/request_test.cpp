// Certificate requests: what is believed of them is their key, once its holder has signed.
#include <doctest/doctest.h>

#include <openssl/err.h>

#include <string>

#include "crypto/request.hpp"
#include "request_maker.hpp"

using namespace skerry;
using crypto::CertificateRequest;

TEST_CASE("a request of our own parses, is signed by its key, and names that key") {
  const auto key = *crypto::PrivateKey::generate();
  const auto der = crypto::make_request(key, "pump-7");
  REQUIRE(der.has_value());
  const auto request = CertificateRequest::from_der(*der);
  REQUIRE(request.has_value());
  CHECK(request->check_key().empty());
  CHECK(request->is_signed_by_own_key());
  CHECK(request->fingerprint() == key.fingerprint());
  CHECK(request->spki_der() == key.spki_der());
}

TEST_CASE("a request without a name has an empty subject") {
  const auto der = crypto::make_request(*crypto::PrivateKey::generate(), "");
  REQUIRE(der.has_value());
  const auto request = CertificateRequest::from_der(*der);
  REQUIRE(request.has_value());
  CHECK(request->is_signed_by_own_key());
  CHECK(request->subject().text.empty());
  CHECK(request->keeps_names({"pump-7", "Skerry", "urn:skerry:device:pump-7"}));
}

TEST_CASE("each accepted kind of key may sign its request") {
  for (const char* curve : {"P-256", "P-384"}) {
    const auto request =
        CertificateRequest::from_der(test::make_der({.key = test::elliptic_key(curve)}));
    REQUIRE(request.has_value());
    CHECK(request->check_key().empty());
    CHECK(request->is_signed_by_own_key());
  }
  const auto rsa = CertificateRequest::from_der(test::make_der({.key = test::rsa_key(2048)}));
  CHECK(rsa->check_key().empty());
  CHECK(rsa->is_signed_by_own_key());
  const auto edwards =
      CertificateRequest::from_der(test::make_der({.key = test::ed25519_key(), .digest = nullptr}));
  CHECK(edwards->check_key().empty());
  CHECK(edwards->is_signed_by_own_key());
}

TEST_CASE("RSA 1024, P-521 and signatures by SHA-1 are refused with a reason") {
  for (const test::Key& key : {test::rsa_key(1024), test::elliptic_key("P-521")}) {
    const auto request = CertificateRequest::from_der(test::make_der({.key = key}));
    REQUIRE(request.has_value());
    CHECK_FALSE(request->check_key().empty());
  }
  const auto old = CertificateRequest::from_der(
      test::make_der({.key = test::elliptic_key("P-256"), .digest = EVP_sha1()}));
  REQUIRE(old.has_value());
  CHECK(old->check_key().find("SHA-256") != std::string_view::npos);
}

TEST_CASE("a request signed by another key is found out") {
  const auto request = CertificateRequest::from_der(
      test::make_der({.key = test::elliptic_key("P-256"), .signer = test::elliptic_key("P-256")}));
  REQUIRE(request.has_value());
  CHECK_FALSE(request->is_signed_by_own_key());
}

TEST_CASE("a request cut at any byte, or with something behind it, is not one") {
  const std::string der = test::make_der({.key = test::elliptic_key("P-256")});
  for (std::size_t size = 0; size < der.size(); ++size) {
    CHECK_FALSE(CertificateRequest::from_der(std::string_view{der}.substr(0, size)).has_value());
  }
  CHECK_FALSE(CertificateRequest::from_der(der + '\0').has_value());
  CHECK_FALSE(CertificateRequest::from_der(std::string(70'000, '0')).has_value());
}

TEST_CASE("a request with any one byte changed never passes as signed") {
  const std::string der = test::make_der({.key = test::elliptic_key("P-256")});
  for (std::size_t index = 0; index < der.size(); ++index) {
    std::string changed = der;
    changed[index] = static_cast<char>(changed[index] ^ 0x01);
    const auto request = CertificateRequest::from_der(changed);
    if (request && request->check_key().empty()) {
      CAPTURE(index);
      CHECK_FALSE(request->is_signed_by_own_key());
    }
  }
}

TEST_CASE("failures leave the thread's queue of library errors empty") {
  CHECK_FALSE(CertificateRequest::from_der("nonsense").has_value());
  CHECK_FALSE(crypto::PrivateKey::from_pem("nonsense").has_value());
  CHECK_FALSE(crypto::check_public_key("nonsense").empty());
  CHECK(ERR_peek_error() == 0);
}
