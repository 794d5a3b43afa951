// Revocation lists, the CRL distribution point of certificates, and CsrAttrs.
#include <doctest/doctest.h>

#include <openssl/x509v3.h>

#include <chrono>
#include <map>
#include <string>

#include "crypto/crl.hpp"
#include "crypto/csr_attributes.hpp"
#include "crypto/encoding.hpp"
#include "crypto/request.hpp"
#include "request_maker.hpp"

using namespace skerry;
using namespace std::chrono_literals;

namespace {

const WallTime now = wall_from_epoch(1'800'000'000'000);

struct Issuer {
  crypto::PrivateKey key = *crypto::PrivateKey::generate();
  crypto::Certificate certificate;
  explicit Issuer(const char* name = "Test CA") {
    crypto::CertificateProfile profile;
    profile.common_name = name;
    profile.spki_der = key.spki_der();
    profile.not_before = now - 1h;
    profile.not_after = now + 1000h;
    profile.is_authority = true;
    certificate = *crypto::issue_certificate(profile, {}, key);
  }
};

crypto::Certificate leaf(const Issuer& issuer, const std::string& crl_url = {}) {
  crypto::CertificateProfile profile;
  profile.common_name = "pump-7";
  profile.spki_der = crypto::PrivateKey::generate()->spki_der();
  profile.not_before = now - 1h;
  profile.not_after = now + 24h;
  profile.client_authentication = true;
  profile.uris = {"urn:skerry:device:pump-7"};
  profile.crl_url = crl_url;
  return *crypto::issue_certificate(profile, issuer.certificate, issuer.key);
}

std::string pem_of(const std::string& der) {
  return crypto::pem_encode("X509 CRL", der);
}

}  // namespace

TEST_CASE("a revocation list reads back with number, times, serials and reasons") {
  const Issuer issuer;
  const crypto::CrlProfile profile{
      .number = 0x1'0000'0001,
      .this_update = now,
      .next_update = now + 24h,
      .entries = {{"ff00000000000000000000000000000000000001", now - 1h, 1},
                  {"0a", now - 2h, 0},
                  {"80", now - 3h, 4}}};
  const auto der = crypto::make_crl(profile, issuer.certificate, issuer.key);
  REQUIRE(der.has_value());
  const auto fields = crypto::read_crl(*der, issuer.certificate);
  REQUIRE(fields.has_value());
  CHECK(fields->number == 0x1'0000'0001);
  CHECK(fields->this_update == now);
  CHECK(fields->next_update == now + 24h);
  std::map<std::string, std::pair<WallTime, unsigned>> found;
  for (const auto& entry : fields->entries) {
    found[entry.serial] = {entry.revoked, entry.reason};
  }
  CHECK(found == std::map<std::string, std::pair<WallTime, unsigned>>{
                     {"ff00000000000000000000000000000000000001", {now - 1h, 1}},
                     {"0a", {now - 2h, 0}},
                     {"80", {now - 3h, 4}}});
}

TEST_CASE("an empty list is a list") {
  const Issuer issuer;
  const auto der = crypto::make_crl({1, now, now + 1h, {}}, issuer.certificate, issuer.key);
  REQUIRE(der.has_value());
  CHECK(crypto::read_crl(*der, issuer.certificate)->entries.empty());
}

TEST_CASE("a list of another issuer, cut or changed anywhere, is not read") {
  const Issuer issuer;
  const Issuer other;
  const std::string der =
      *crypto::make_crl({7, now, now + 1h, {{"0a", now, 1}}}, issuer.certificate, issuer.key);
  CHECK_FALSE(crypto::read_crl(der, other.certificate).has_value());
  for (std::size_t size = 0; size < der.size(); ++size) {
    CHECK_FALSE(crypto::read_crl(der.substr(0, size), issuer.certificate).has_value());
  }
  for (std::size_t at = 0; at < der.size(); ++at) {
    std::string changed = der;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    const auto fields = crypto::read_crl(changed, issuer.certificate);
    // Only the outer signature algorithm's parameters or unused bits could be other; never a field.
    CHECK((!fields.has_value() || fields->number == 7));
  }
  CHECK_FALSE(crypto::read_crl(der + "x", issuer.certificate).has_value());
}

TEST_CASE("lists of others are read in DER and, several in a file, in PEM") {
  const Issuer issuer;
  const auto list = [&](std::vector<crypto::RevokedCertificate> entries, WallTime next) {
    return *crypto::make_crl({1, now - 1h, next, std::move(entries)}, issuer.certificate,
                             issuer.key);
  };
  const std::string first = list({{"80", now, 1}, {"0a", now, 1}}, now + 2h);
  const std::string second = list({{"0a", now, 4}, {"11", now, 0}}, now - 1min);
  const auto of_der = crypto::read_revoked_serials(first, issuer.certificate);
  REQUIRE(of_der.has_value());
  CHECK(of_der->serials == std::vector<std::string>{"0a", "80"});
  CHECK(of_der->next_update == now + 2h);
  const std::string text = "words\n" + pem_of(first) + pem_of(second);
  const auto of_pem = crypto::read_revoked_serials(text, issuer.certificate);
  REQUIRE(of_pem.has_value());
  CHECK(of_pem->serials == std::vector<std::string>{"0a", "11", "80"});
  CHECK(of_pem->next_update == now - 1min);  // an old list is read, and said to be old
  std::string many;
  for (std::size_t count = 0; count <= crypto::crl_lists_max; ++count) {
    many += pem_of(first);
  }
  CHECK_FALSE(crypto::read_revoked_serials(many, issuer.certificate).has_value());
}

TEST_CASE("one list that is cut, changed or by another spoils the file") {
  const Issuer issuer;
  const Issuer same_name;
  const Issuer other{"Another CA"};
  const auto list = [](const Issuer& by) {
    return *crypto::make_crl({1, now, now + 1h, {{"0a", now, 1}}}, by.certificate, by.key);
  };
  const auto refusal = [&](const std::string& text) -> std::string {
    const auto read = crypto::read_revoked_serials(text, issuer.certificate);
    return read.has_value() ? "" : read.error().what;
  };
  const std::string good = list(issuer);
  CHECK(refusal(good).empty());
  CHECK(refusal(list(same_name)).find("not signed by") != std::string::npos);
  CHECK(refusal(list(other)).find("another issuer") != std::string::npos);
  CHECK(refusal(pem_of(good) + pem_of(list(same_name))).find("not signed") != std::string::npos);
  const std::string pem = pem_of(good);
  CHECK_FALSE(refusal(pem + pem.substr(0, pem.size() / 2)).empty());
  CHECK_FALSE(refusal(good + "x").empty());
  CHECK_FALSE(refusal("-----BEGIN CERTIFICATE-----\n").empty());
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(refusal(good.substr(0, size)).empty());
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string changed = good;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    const auto read = crypto::read_revoked_serials(changed, issuer.certificate);
    CHECK((!read.has_value() || read->serials == std::vector<std::string>{"0a"}));
  }
}

TEST_CASE("what is no serial is not put on a list") {
  const Issuer issuer;
  for (const std::string serial : {"", "xyz", "0g", "12 ", std::string(42, 'a').c_str()}) {
    CHECK_FALSE(
        crypto::make_crl({1, now, now + 1h, {{serial, now, 1}}}, issuer.certificate, issuer.key)
            .has_value());
  }
  CHECK_FALSE(crypto::make_crl({1, now, now + 1h, {}}, issuer.certificate, {}).has_value());
}

TEST_CASE("100,000 entries are signed and read back") {
  const Issuer issuer;
  crypto::CrlProfile profile{1, now, now + 24h, {}};
  char serial[33];
  for (unsigned number = 0; number < 100'000; ++number) {
    std::snprintf(serial, sizeof serial, "%032x", number * 2654435761U + 1);
    profile.entries.push_back({serial, now, 1});
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto der = crypto::make_crl(profile, issuer.certificate, issuer.key);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  REQUIRE(der.has_value());
  MESSAGE("100,000 entries: " << took.count() << " s, " << der->size() << " bytes");
  CHECK(crypto::read_crl(*der, issuer.certificate)->entries.size() == 100'000);
}

TEST_CASE("a certificate says where its revocation list is, when that is known") {
  const Issuer issuer;
  CHECK(X509_get_ext_by_NID(leaf(issuer).native(), NID_crl_distribution_points, -1) == -1);
  const std::string url = "http://gateway.example:8444/crl/device.crl";
  const auto certificate = leaf(issuer, url);
  auto* points = static_cast<CRL_DIST_POINTS*>(
      X509_get_ext_d2i(certificate.native(), NID_crl_distribution_points, nullptr, nullptr));
  REQUIRE(points != nullptr);
  REQUIRE(sk_DIST_POINT_num(points) == 1);
  const GENERAL_NAMES* names = sk_DIST_POINT_value(points, 0)->distpoint->name.fullname;
  REQUIRE(sk_GENERAL_NAME_num(names) == 1);
  const ASN1_STRING* text = sk_GENERAL_NAME_value(names, 0)->d.ia5;
  CHECK(std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                    static_cast<std::size_t>(ASN1_STRING_length(text))) == url);
  CRL_DIST_POINTS_free(points);
}

TEST_CASE("CsrAttrs are a sequence of object ids and attributes that OpenSSL reads") {
  const std::string der = crypto::csr_attributes_der();
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  ASN1_SEQUENCE_ANY* sequence = d2i_ASN1_SEQUENCE_ANY(nullptr, &at, static_cast<long>(der.size()));
  REQUIRE(sequence != nullptr);
  CHECK(at == reinterpret_cast<const unsigned char*>(der.data()) + der.size());
  REQUIRE(sk_ASN1_TYPE_num(sequence) == 6);
  CHECK(OBJ_obj2nid(sk_ASN1_TYPE_value(sequence, 0)->value.object) == NID_ecdsa_with_SHA256);
  for (const auto& [index, nid] :
       {std::pair{1, NID_X9_62_id_ecPublicKey}, {4, NID_rsaEncryption}}) {
    const ASN1_STRING* text = sk_ASN1_TYPE_value(sequence, index)->value.sequence;
    const unsigned char* inner = ASN1_STRING_get0_data(text);
    X509_ATTRIBUTE* attribute = d2i_X509_ATTRIBUTE(nullptr, &inner, ASN1_STRING_length(text));
    REQUIRE(attribute != nullptr);
    CHECK(OBJ_obj2nid(X509_ATTRIBUTE_get0_object(attribute)) == nid);
    X509_ATTRIBUTE_free(attribute);
  }
  sk_ASN1_TYPE_pop_free(sequence, ASN1_TYPE_free);
}

TEST_CASE("a request keeps a certificate's names, leaves them out, or is found out") {
  const test::Key key = test::elliptic_key("P-256");
  const auto keeps = [&](const test::RequestRecipe& recipe) {
    return crypto::CertificateRequest::from_der(test::make_der(recipe))
        ->keeps_names({"pump-7", "Skerry", "urn:skerry:device:pump-7"});
  };
  const test::Extension same{NID_subject_alt_name, "URI:urn:skerry:device:pump-7"};
  CHECK(keeps({.key = key, .common_name = ""}));
  CHECK(keeps({.key = key, .common_name = "", .extensions = {same}}));
  CHECK(keeps({.key = key, .common_name = "pump-7", .organization = "Skerry"}));
  CHECK(
      keeps({.key = key, .common_name = "pump-7", .organization = "Skerry", .extensions = {same}}));
  CHECK_FALSE(keeps({.key = key, .common_name = "pump-7"}));
  CHECK_FALSE(keeps({.key = key, .common_name = "pump-8", .organization = "Skerry"}));
  CHECK_FALSE(keeps({.key = key,
                     .common_name = "",
                     .extensions = {{NID_subject_alt_name, "URI:urn:skerry:device:pump-8"}}}));
  CHECK_FALSE(keeps({.key = key,
                     .common_name = "",
                     .extensions = {{NID_subject_alt_name,
                                     "URI:urn:skerry:device:pump-7,DNS:gateway.example"}}}));
  CHECK_FALSE(keeps({.key = key, .common_name = "", .extensions = {same, same}}));
}
