// Enrolment: who gets a certificate, what is in it, and what each bad request is told.
#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>

#include "auth/certificate_authenticator.hpp"
#include "auth/est.hpp"
#include "auth_fixture.hpp"
#include "crypto/encoding.hpp"
#include "crypto/hash.hpp"
#include "crypto/pkcs7.hpp"
#include "crypto/request.hpp"
#include "unit/crypto/request_maker.hpp"

using namespace skerry;
using namespace std::chrono_literals;
using http::Request;
using http::Response;
using test::start_of_test;

namespace {

/// Registry, authority, signer and the endpoint table over them.
struct Enrolment {
  test::TemporaryDirectory directory;
  test::RegistryFixture fixture;
  std::unique_ptr<auth::CertificateAuthority> authority = auth::CertificateAuthority::open(
      {.data_dir = directory.path, .server_names = {"localhost"}}, start_of_test);
  storage::ReaderPool signer{1, 64};
  Now now{SteadyTime{1h}, start_of_test};
  double burst = 1000;
  std::string log;

  http::EndpointTable table() {
    auth::EstOptions options{*authority, *fixture.registry, signer};
    options.clock = [this] { return now; };
    options.signatures_per_second = 1;
    options.signatures_burst = burst;
    options.log = [this](std::string_view line) { log += line; };
    return auth::est_endpoints(std::move(options));
  }

  /// Sends all requests at once to one endpoint and waits for the answers.
  static std::vector<Response> ask(const http::Endpoint& endpoint,
                                   const std::vector<Request>& requests) {
    // Static: another thread may still be on its way out of post() when the handler has run.
    static boost::asio::io_context io;
    io.restart();
    std::vector<Response> responses(requests.size());
    for (std::size_t index = 0; index < requests.size(); ++index) {
      boost::asio::co_spawn(
          io,
          [&, index]() -> boost::asio::awaitable<void> {
            responses[index] = co_await endpoint.handler(requests[index]);
          },
          boost::asio::detached);
    }
    io.run();
    return responses;
  }

  Response enroll(const std::string& body, const std::string& client_certificate = {}) {
    Request request;
    request.body = body;
    request.client_certificate = client_certificate;
    return ask(table()[1], {request}).front();
  }

  Response enroll_der(const std::string& der, const std::string& client_certificate = {}) {
    return enroll(crypto::base64_encode(der, 64), client_certificate);
  }

  void register_key(const std::string& id, const std::string& spki_der) {
    REQUIRE(fixture.create(id, {crypto::sha256_hex(spki_der)}).has_value());
  }
};

std::string self_signed(const crypto::PrivateKey& key) {
  crypto::CertificateProfile profile;
  profile.common_name = "whatever";
  profile.spki_der = key.spki_der();
  profile.not_before = start_of_test - 1h;
  profile.not_after = start_of_test + 1h;
  return crypto::issue_certificate(profile, {}, key)->der();
}

crypto::Certificate certificate_in(const Response& response) {
  REQUIRE(response.status == 200);
  const auto der = crypto::base64_decode(response.body, 1'000'000);
  REQUIRE(der);
  const auto certificates = crypto::certificates_of_pkcs7(*der);
  REQUIRE(certificates.has_value());
  REQUIRE(certificates->size() == 1);
  return certificates->front();
}

/// "403 not_in_registry"
std::string problem_of(const Response& response) {
  CHECK(response.content_type == "application/problem+json");
  const auto body = boost::json::parse(response.body);
  return std::to_string(response.status) + " " + body.at("code").as_string().c_str();
}

}  // namespace

TEST_CASE("cacerts gives root, device CA and server CA as base64 PKCS#7") {
  Enrolment enrolment;
  const auto table = enrolment.table();
  CHECK(table[0].route == "/.well-known/est/cacerts");
  CHECK(table[0].guard == http::Guard::none);
  const Response response = Enrolment::ask(table[0], {Request{}}).front();
  CHECK(response.status == 200);
  CHECK(response.content_type == "application/pkcs7-mime");
  CHECK(response.headers.front() ==
        std::pair<std::string, std::string>{"Content-Transfer-Encoding", "base64"});
  const auto certificates =
      crypto::certificates_of_pkcs7(*crypto::base64_decode(response.body, 1'000'000));
  REQUIRE(certificates->size() == 3);
  CHECK((*certificates)[0].der() == enrolment.authority->root().der());
  CHECK((*certificates)[1].der() == enrolment.authority->device_ca().der());
  CHECK((*certificates)[2].der() == enrolment.authority->server_ca().der());
}

TEST_CASE("a registered key is enrolled, and the certificate lets it in") {
  Enrolment enrolment;
  const auto key = *crypto::PrivateKey::generate();
  enrolment.register_key("pump-7", key.spki_der());
  const std::string der = *crypto::make_request(key, "pump-7");
  const Response response = enrolment.enroll_der(der, self_signed(key));
  CHECK(response.content_type == "application/pkcs7-mime; smime-type=certs-only");
  const auto certificate = certificate_in(response);
  const auto device = enrolment.fixture.registry->find("pump-7");
  CHECK(device->state == auth::DeviceState::enrolled);
  CHECK(device->keys[0].certificates[0].serial == certificate.fields()->serial);
  auth::CertificateAuthenticator authenticator{
      *enrolment.fixture.registry, enrolment.authority->device_ca(), [] { return start_of_test; }};
  plugin::Credentials credentials;
  credentials.certificate_chain = {certificate.der()};
  bool let_in = false;
  authenticator.authenticate(credentials, {}, [&](auto outcome) { let_in = outcome.has_value(); });
  CHECK(let_in);
}

TEST_CASE("the request may come as PEM, on one line, or in lines, with or without a certificate") {
  Enrolment enrolment;
  const auto key = *crypto::PrivateKey::generate();
  enrolment.register_key("d1", key.spki_der());
  const std::string der = *crypto::make_request(key, "d1");
  for (const std::string& body :
       {crypto::base64_encode(der), crypto::base64_encode(der, 64), crypto::base64_encode(der, 76),
        crypto::pem_encode("CERTIFICATE REQUEST", der),
        crypto::pem_encode("NEW CERTIFICATE REQUEST", der),
        "\r\n" + crypto::base64_encode(der) + "\r\n"}) {
    CHECK(enrolment.enroll(body).status == 200);
    CHECK(enrolment.enroll(body, self_signed(key)).status == 200);
  }
}

TEST_CASE("subject, names and extensions of a request are ignored") {
  Enrolment enrolment;
  const test::Key key = test::elliptic_key("P-256");
  enrolment.register_key("d1", test::spki_of(key));
  const std::string der = test::make_der(
      {.key = key,
       .common_name = "admin",
       .extensions = {{NID_subject_alt_name,
                       "URI:urn:skerry:device:d2,URI:urn:skerry:service:x,DNS:gateway.example"},
                      {NID_basic_constraints, "critical,CA:TRUE"},
                      {NID_key_usage, "critical,keyCertSign,cRLSign"},
                      {NID_ext_key_usage, "serverAuth,anyExtendedKeyUsage"}}});
  const auto certificate = certificate_in(enrolment.enroll_der(der));
  const auto fields = *certificate.fields();
  CHECK(fields.common_name == "d1");
  CHECK(fields.organization == "Skerry");
  CHECK(fields.uris == std::vector<std::string>{"urn:skerry:device:d1"});
  CHECK(fields.dns_names.empty());
  CHECK_FALSE(fields.is_authority);
  CHECK_FALSE(fields.certificate_sign);
  CHECK(fields.client_authentication);
  CHECK_FALSE(fields.server_authentication);
  CHECK_FALSE(fields.other_extended_usage);
  CHECK(fields.not_after == start_of_test + std::chrono::days{30});
  CHECK(X509_get_ext_count(certificate.native()) == 6);
}

TEST_CASE("an unregistered key is told so, with its fingerprint") {
  Enrolment enrolment;
  const auto key = *crypto::PrivateKey::generate();
  const Response response =
      enrolment.enroll_der(*crypto::make_request(key, "d1"), self_signed(key));
  CHECK(problem_of(response) == "403 not_in_registry");
  CHECK(response.body.find(key.fingerprint()) != std::string::npos);
}

TEST_CASE("a request for a registered key over the connection of another key is a mismatch") {
  Enrolment enrolment;
  const auto key = *crypto::PrivateKey::generate();
  const auto other = *crypto::PrivateKey::generate();
  enrolment.register_key("d1", key.spki_der());
  enrolment.register_key("d2", other.spki_der());
  const std::string der = *crypto::make_request(key, "d1");
  CHECK(problem_of(enrolment.enroll_der(der, self_signed(other))) == "403 key_mismatch");
  CHECK(problem_of(enrolment.enroll_der(der, "nonsense")) == "403 key_mismatch");
  CHECK(enrolment.fixture.registry->find("d1")->state == auth::DeviceState::preauthorised);
}

TEST_CASE("a request that somebody else has signed is refused") {
  Enrolment enrolment;
  const test::Key key = test::elliptic_key("P-256");
  enrolment.register_key("d1", test::spki_of(key));
  const std::string der = test::make_der({.key = key, .signer = test::elliptic_key("P-256")});
  CHECK(problem_of(enrolment.enroll_der(der)) == "400 bad_csr_signature");
}

TEST_CASE("weak keys are refused even when they are registered") {
  Enrolment enrolment;
  const test::Key rsa = test::rsa_key(1024);
  enrolment.register_key("d1", test::spki_of(rsa));
  CHECK(problem_of(enrolment.enroll_der(test::make_der({.key = rsa}))) == "400 key_not_accepted");
}

TEST_CASE("RSA 2048, P-384 and Ed25519 are enrolled") {
  Enrolment enrolment;
  unsigned number = 0;
  for (const test::Key& key :
       {test::rsa_key(2048), test::elliptic_key("P-384"), test::ed25519_key()}) {
    enrolment.register_key("d" + std::to_string(number++), test::spki_of(key));
    const bool edwards = EVP_PKEY_is_a(key.get(), "ED25519") == 1;
    const std::string der =
        test::make_der({.key = key, .digest = edwards ? nullptr : EVP_sha256()});
    CHECK(certificate_in(enrolment.enroll_der(der)).fields()->spki_der == test::spki_of(key));
  }
}

TEST_CASE("a body that is no request is malformed, wherever it is cut") {
  Enrolment enrolment;
  const auto key = *crypto::PrivateKey::generate();
  enrolment.register_key("d1", key.spki_der());
  const std::string der = *crypto::make_request(key, "d1");
  const std::string body = crypto::base64_encode(der, 64);
  for (const char* nonsense : {"", "!", "AAAA", "-----BEGIN CERTIFICATE REQUEST-----\n"}) {
    CHECK(problem_of(enrolment.enroll(nonsense)) == "400 malformed_csr");
  }
  for (std::size_t size = 0; size + 3 < body.size(); ++size) {
    CHECK(problem_of(enrolment.enroll(body.substr(0, size))) == "400 malformed_csr");
  }
  CHECK(problem_of(enrolment.enroll_der(der + "x")) == "400 malformed_csr");
  CHECK(problem_of(enrolment.enroll(std::string(65536, 'A'))) == "400 malformed_csr");
  CHECK(enrolment.table()[1].body_bytes_max == 65536);
}

TEST_CASE("two enrolments of one key at the same time both end in a recorded certificate") {
  Enrolment enrolment;
  const auto key = *crypto::PrivateKey::generate();
  enrolment.register_key("d1", key.spki_der());
  Request request;
  request.body = crypto::base64_encode(*crypto::make_request(key, "d1"));
  const auto responses = Enrolment::ask(enrolment.table()[1], {request, request});
  const auto first = certificate_in(responses[0]).fields()->serial;
  const auto second = certificate_in(responses[1]).fields()->serial;
  CHECK(first != second);
  enrolment.fixture.restart();
  const auto device = enrolment.fixture.registry->find("d1");
  REQUIRE(device->keys[0].certificates.size() == 2);
  for (const auto& certificate : device->keys[0].certificates) {
    CHECK((certificate.serial == first || certificate.serial == second));
  }
}

TEST_CASE("no certificate leaves before it is stored") {
  Enrolment enrolment;
  const auto key = *crypto::PrivateKey::generate();
  enrolment.register_key("d1", key.spki_der());
  enrolment.fixture.store->fail_write(1, storage::StatusCode::full);
  const Response response = enrolment.enroll_der(*crypto::make_request(key, "d1"));
  CHECK(problem_of(response) == "503 storage_unavailable");
  CHECK(enrolment.fixture.registry->find("d1")->state == auth::DeviceState::preauthorised);
}

TEST_CASE("too many enrolments at once are told to come again, bad ones cost nothing") {
  Enrolment enrolment;
  enrolment.burst = 2;
  const auto key = *crypto::PrivateKey::generate();
  enrolment.register_key("d1", key.spki_der());
  const auto table = enrolment.table();
  Request request;
  const auto ask = [&] { return Enrolment::ask(table[1], {request}).front(); };
  request.body = "nonsense";
  for (int count = 0; count < 10; ++count) {
    CHECK(ask().status == 400);
  }
  request.body = crypto::base64_encode(*crypto::make_request(key, "d1"));
  CHECK(ask().status == 200);
  CHECK(ask().status == 200);
  const Response refused = ask();
  CHECK(problem_of(refused) == "429 too_many_enrolments");
  CHECK(refused.headers.front().first == "Retry-After");
  enrolment.now.steady += 1s;
  CHECK(ask().status == 200);
  CHECK(ask().status == 429);
}

TEST_CASE("an erased device cannot enrol any more") {
  Enrolment enrolment;
  const auto key = *crypto::PrivateKey::generate();
  enrolment.register_key("d1", key.spki_der());
  const std::string der = *crypto::make_request(key, "d1");
  CHECK(enrolment.enroll_der(der).status == 200);
  REQUIRE(enrolment.fixture.erase("d1").has_value());
  CHECK(problem_of(enrolment.enroll_der(der)) == "403 not_in_registry");
}
