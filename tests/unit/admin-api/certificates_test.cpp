// /ca, /enrolment-tokens and /services: each operation with success, bad input and conflict.
#include <doctest/doctest.h>

#include "crypto/certificate.hpp"
#include "crypto/encoding.hpp"
#include "crypto/request.hpp"
#include "unit/admin-api/admin_fixture.hpp"

using namespace skerry;
using namespace skerry::test;

namespace {

std::string csr_json(const crypto::PrivateKey& key, const std::string& more = "") {
  boost::json::object body;
  body["csr"] = crypto::pem_encode("CERTIFICATE REQUEST", *crypto::make_request(key, "whatever"));
  std::string text = boost::json::serialize(body);
  text.insert(text.size() - 1, more);
  return text;
}

}  // namespace

TEST_CASE("the authorities are shown with fingerprints and expiry") {
  AdminFixture admin;
  const auto shown = admin.json({"GET", "/api/v1/ca"});
  const auto& chain = shown.at("chain").as_array();
  REQUIRE(chain.size() == 3);
  CHECK(chain[1].at("role") == "device");
  CHECK(chain[1].at("commonName") == "Skerry Device CA");
  CHECK(chain[1].at("pem").as_string() == admin.certificates.authority->device_ca().pem());
  CHECK(chain[0].at("fingerprint").as_string().size() == 64);
  CHECK(shown.at("canSign") == true);
  CHECK(shown.at("crl").is_null());
  CHECK(code_of(admin.call({"GET", "/api/v1/ca/crl"})) == "crl_unavailable");
}

TEST_CASE("an enrolment token is shown once, listed without its secret, and deleted") {
  AdminFixture admin;
  const auto response =
      admin.call({"POST", "/api/v1/enrolment-tokens", R"({"deviceId":"pump-7","expiresIn":60})"});
  REQUIRE(response.status == 201);
  CHECK(header_of(response, "Cache-Control") == "no-store");
  const auto made = boost::json::parse(response.body);
  const std::string id{made.at("id").as_string()};
  CHECK(header_of(response, "Location") == "/api/v1/enrolment-tokens/" + id);
  CHECK(made.at("token").as_string().starts_with("ske_"));
  CHECK(made.at("deviceId") == "pump-7");
  CHECK(made.at("maxUses") == 1);
  CHECK(made.at("usable") == true);
  CHECK(made.at("lastUsedAt").is_null());
  const auto shown = admin.json({"GET", "/api/v1/enrolment-tokens/" + id});
  CHECK_FALSE(shown.as_object().contains("token"));
  const auto list = admin.json({"GET", "/api/v1/enrolment-tokens"});
  REQUIRE(list.at("items").as_array().size() == 1);
  CHECK(list.at("items").at(0) == shown);
  admin.wall += std::chrono::minutes{2};
  CHECK(admin.json({"GET", "/api/v1/enrolment-tokens/" + id}).at("usable") == false);
  CHECK(admin.call({"DELETE", "/api/v1/enrolment-tokens/" + id}).status == 204);
  for (const char* method : {"GET", "DELETE"}) {
    const auto gone = admin.call({method, "/api/v1/enrolment-tokens/" + id});
    CHECK(gone.status == 404);
    CHECK(code_of(gone) == "enrolment_token_not_found");
  }
}

TEST_CASE("enrolment tokens are listed page by page") {
  AdminFixture admin;
  for (int count = 0; count < 5; ++count) {
    CHECK(admin.call({"POST", "/api/v1/enrolment-tokens", "{}"}).status == 201);
  }
  auto page = admin.json({"GET", "/api/v1/enrolment-tokens?limit=3"});
  CHECK(page.at("items").as_array().size() == 3);
  const std::string next{page.at("next").as_string()};
  page = admin.json({"GET", "/api/v1/enrolment-tokens?limit=3&cursor=" + next});
  CHECK(page.at("items").as_array().size() == 2);
  CHECK(page.at("next").is_null());
}

TEST_CASE("bad wishes for enrolment tokens name the field") {
  AdminFixture admin;
  const auto refused = [&](const char* body) {
    const auto response = admin.call({"POST", "/api/v1/enrolment-tokens", body});
    return std::to_string(response.status) + " " + code_of(response) + " " + pointer_of(response);
  };
  CHECK(refused("[]").starts_with("400 "));
  CHECK(refused(R"({"deviceId":"a/b"})") == "422 invalid_device_id /deviceId");
  CHECK(refused(R"({"device":"a"})") == "422 unknown_field /device");
  CHECK(refused(R"({"maxUses":0})") == "422 field_invalid /maxUses");
  CHECK(refused(R"({"maxUses":1.5})") == "422 field_invalid /maxUses");
  CHECK(refused(R"({"expiresIn":99999999999})") == "422 field_invalid /expiresIn");
  CHECK(refused(R"({"tags":"lab"})") == "422 field_invalid /tags");
  CHECK(refused(R"({"tags":["lab",7]})") == "422 field_invalid /tags");
  CHECK(refused(R"({"tags":["lab",""]})") == "422 field_invalid /tags/1");
  CHECK(refused(("{\"model\":\"" + std::string(200, 'x') + "\"}").c_str()) ==
        "422 field_invalid /model");
}

TEST_CASE("a service is registered, given a certificate, and removed") {
  AdminFixture admin;
  const auto response =
      admin.call({"POST", "/api/v1/services", R"({"name":"historian","policy":"service-read"})"});
  REQUIRE(response.status == 201);
  CHECK(header_of(response, "Location") == "/api/v1/services/historian");
  const auto key = *crypto::PrivateKey::generate();
  const auto issued = admin.call(
      {"POST", "/api/v1/services/historian/certificates", csr_json(key, R"(,"expiresIn":3600)")});
  REQUIRE(issued.status == 201);
  const auto body = boost::json::parse(issued.body);
  const auto certificate =
      *crypto::Certificate::from_pem(std::string{body.at("certificate").as_string()});
  const auto fields = *certificate.fields();
  CHECK(fields.uris == std::vector<std::string>{"urn:skerry:service:historian"});
  CHECK(fields.fingerprint == key.fingerprint());
  CHECK(fields.not_after == start_of_test + std::chrono::hours{1});
  CHECK(certificate.is_signed_by(admin.certificates.authority->device_ca()));
  CHECK(body.at("serial").as_string() == fields.serial);
  const std::string location = header_of(issued, "Location");
  CHECK(location == "/api/v1/services/historian/certificates/" + fields.serial);
  const auto shown = admin.json({"GET", "/api/v1/services/historian"});
  CHECK(shown.at("certificates").as_array().size() == 1);
  CHECK(admin.json({"GET", "/api/v1/services"}).at("items").at(0) == shown);
  CHECK(admin.call({"DELETE", location + "?reason=keyCompromise"}).status == 204);
  CHECK(code_of(admin.call({"DELETE", location})) == "certificate_not_found");
  CHECK(admin.certificates.services.is_revoked(fields.serial));
  CHECK(admin.call({"DELETE", "/api/v1/services/historian"}).status == 204);
  CHECK(code_of(admin.call({"GET", "/api/v1/services/historian"})) == "service_not_found");
  CHECK(code_of(admin.call({"DELETE", "/api/v1/services/historian"})) == "service_not_found");
}

TEST_CASE("a request in base64, alone, with its own media type, is taken as well") {
  AdminFixture admin;
  CHECK(
      admin.call({"POST", "/api/v1/services", R"({"name":"s","policy":"service-write"})"}).status ==
      201);
  const std::string der = *crypto::make_request(*crypto::PrivateKey::generate(), "x");
  AdminFixture::Call call{"POST", "/api/v1/services/s/certificates", crypto::base64_encode(der)};
  call.headers["content-type"] = "application/pkcs10";
  CHECK(admin.call(call).status == 201);
}

TEST_CASE("bad wishes for services and their certificates have their codes") {
  AdminFixture admin;
  const auto refused = [&](const char* target, const std::string& body) {
    const auto response = admin.call({"POST", target, body});
    return std::to_string(response.status) + " " + code_of(response);
  };
  const char* services = "/api/v1/services";
  CHECK(refused(services, R"({"name":"a/b","policy":"service-read"})") ==
        "422 invalid_service_name");
  CHECK(refused(services, R"({"name":"a","policy":"root"})") == "422 unknown_policy");
  CHECK(refused(services, R"({"name":"a"})") == "422 field_missing");
  CHECK(refused(services, R"({"name":"a","policy":"service-read","x":1})") == "422 unknown_field");
  CHECK(admin.call({"POST", services, R"({"name":"a","policy":"service-read"})"}).status == 201);
  CHECK(refused(services, R"({"name":"a","policy":"service-write"})") == "409 service_exists");
  const char* certificates = "/api/v1/services/a/certificates";
  const auto key = *crypto::PrivateKey::generate();
  CHECK(refused("/api/v1/services/b/certificates", csr_json(key)) == "404 service_not_found");
  CHECK(refused(certificates, R"({"csr":"x"})") == "400 malformed_csr");
  CHECK(refused(certificates, csr_json(key, R"(,"expiresIn":1)")) == "422 field_invalid");
  CHECK(refused(certificates, csr_json(key, R"(,"x":1)")) == "422 unknown_field");
  CHECK(code_of(admin.call({"DELETE", "/api/v1/services/a/certificates/ff"})) ==
        "certificate_not_found");
  CHECK(code_of(admin.call({"DELETE", "/api/v1/services/a/certificates/ff?reason=x"})) ==
        "invalid_parameter");
}
