// Base64, PEM, hashes, random tokens and passwords.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "crypto/encoding.hpp"
#include "crypto/hash.hpp"
#include "crypto/password.hpp"
#include "crypto/random.hpp"

using namespace skerry;

TEST_CASE("base64 gives the vectors of RFC 4648 section 10 both ways") {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    CHECK(crypto::base64_encode(plain) == text);
    CHECK(crypto::base64_decode(text, 100) == plain);
  }
}

TEST_CASE("base64 of all byte values survives line breaks of any kind") {
  std::string bytes;
  for (int value = 0; value < 256; ++value) {
    bytes.push_back(static_cast<char>(value));
  }
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const std::string part = bytes.substr(0, size);
    CHECK(crypto::base64_decode(crypto::base64_encode(part), 256) == part);
    CHECK(crypto::base64_decode(crypto::base64_encode(part, 64), 256) == part);
  }
  CHECK(crypto::base64_decode(" Zm9v\r\n Ym\tFy\r\n", 100) == "foobar");
}

TEST_CASE("what is not base64 is refused") {
  for (const char* text :
       {"Z", "Zg", "Zg=", "Zg===", "Z===", "====", "=", "Zm9v=", "Zm9v====", "Zg==Zg==", "Zm9v!",
        "Zm-v", "Zm_v", "Zm9vYh==", "Zm9=", "Zg=a", "Zh=="}) {
    CAPTURE(text);
    CHECK_FALSE(crypto::base64_decode(text, 100));
  }
  CHECK_FALSE(crypto::base64_decode(std::string("Zm9v\0", 5), 100));
}

TEST_CASE("base64 stops at its cap") {
  CHECK(crypto::base64_decode("Zm9vYmFy", 6));
  CHECK_FALSE(crypto::base64_decode("Zm9vYmFy", 5));
  CHECK(crypto::base64_decode("Zm9vYg==", 4));
  CHECK_FALSE(crypto::base64_decode("Zm9vYg==", 3));
}

TEST_CASE("PEM comes back as it went in, and only under its label") {
  const std::string der(200, 'x');
  const std::string pem = "some words\n" + crypto::pem_encode("CERTIFICATE REQUEST", der);
  CHECK(crypto::pem_decode("CERTIFICATE REQUEST", pem, 1000) == der);
  CHECK_FALSE(crypto::pem_decode("CERTIFICATE", pem, 1000));
  CHECK_FALSE(crypto::pem_decode("CERTIFICATE REQUEST", pem, 199));
  CHECK_FALSE(crypto::pem_decode("CERTIFICATE REQUEST", pem.substr(0, pem.size() - 10), 1000));
}

TEST_CASE("SHA-256 of \"abc\" is what FIPS 180-2 says") {
  CHECK(crypto::sha256_hex("abc") ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("comparison in constant time tells equal from different") {
  CHECK(crypto::equal_constant_time("secret", "secret"));
  CHECK_FALSE(crypto::equal_constant_time("secret", "secreT"));
  CHECK_FALSE(crypto::equal_constant_time("secret", "secre"));
  CHECK(crypto::equal_constant_time("", ""));
}

TEST_CASE("random tokens are URL-safe and do not repeat") {
  std::set<std::string> seen;
  for (int count = 0; count < 1000; ++count) {
    const std::string token = crypto::random_token();
    CHECK(token.size() == 43);
    CHECK(token.find_first_not_of(
              "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
          std::string::npos);
    CHECK(seen.insert(token).second);
  }
}

TEST_CASE("a password fits its own hash and no other, and hashes are salted") {
  const auto hash = crypto::hash_password("correct horse");
  REQUIRE(hash.has_value());
  CHECK(hash->starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
  CHECK(crypto::verify_password("correct horse", *hash));
  CHECK_FALSE(crypto::verify_password("correct horsE", *hash));
  CHECK_FALSE(crypto::verify_password("", *hash));
  CHECK_FALSE(crypto::verify_password("correct horse", "$argon2id$nonsense"));
  CHECK_FALSE(crypto::verify_password("correct horse", ""));
  CHECK_FALSE(crypto::verify_password(std::string(2000, 'x'), *hash));
  CHECK(*crypto::hash_password("correct horse") != *hash);
  CHECK_FALSE(crypto::hash_password("").has_value());
  CHECK_FALSE(crypto::hash_password(std::string(1025, 'x')).has_value());
}
