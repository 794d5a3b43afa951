// Enrolment: who gets a certificate, what is in it, and what each bad request is told.
#include "est_fixture.hpp"

#include "auth/certificate_authenticator.hpp"
#include "base/limits.hpp"
#include "crypto/csr_attributes.hpp"
#include "unit/crypto/request_maker.hpp"

using namespace skerry;
using namespace std::chrono_literals;
using http::Request;
using http::Response;
using test::certificate_in;
using test::Enrolment;
using test::problem_of;
using test::self_signed;
using test::start_of_test;

TEST_CASE("cacerts gives root, device CA and server CA as base64 PKCS#7") {
  Enrolment enrolment;
  const auto table = enrolment.table();
  CHECK(Enrolment::find(table, "cacerts").route == "/.well-known/est/cacerts");
  CHECK(Enrolment::find(table, "cacerts").guard == http::Guard::none);
  const Response response = Enrolment::ask(Enrolment::find(table, "cacerts"), {Request{}}).front();
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
    enrolment.pass(31 * 24h);  // what was issued before has expired
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
  CHECK(Enrolment::find(enrolment.table(), "simpleenroll").body_bytes_max == 65536);
}

TEST_CASE("of two enrolments of one key at the same time exactly one wins") {
  Enrolment enrolment;
  const auto key = *crypto::PrivateKey::generate();
  enrolment.register_key("d1", key.spki_der());
  Request request;
  request.body = crypto::base64_encode(*crypto::make_request(key, "d1"));
  const auto table = enrolment.table();
  const auto& endpoint = Enrolment::find(table, "simpleenroll");
  // The signer is held until the second has been judged.
  std::promise<void> judged;
  enrolment.on_refusal = [&judged] { judged.set_value(); };
  REQUIRE(enrolment.signer.run([&judged] { judged.get_future().wait(); }));
  const auto responses = Enrolment::ask(endpoint, {request, request});
  const bool first = responses[0].status == 200;
  const auto serial = certificate_in(responses[first ? 0 : 1]).fields()->serial;
  const Response& lost = responses[first ? 1 : 0];
  CHECK(problem_of(lost) == "409 enrolment_in_progress");
  CHECK(lost.headers.front() == std::pair<std::string, std::string>{"Retry-After", "1"});
  enrolment.fixture.restart();
  const auto device = enrolment.fixture.registry->find("d1");
  REQUIRE(device->keys[0].certificates.size() == 1);
  CHECK(device->keys[0].certificates[0].serial == serial);
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
  const auto ask = [&] {
    return Enrolment::ask(Enrolment::find(table, "simpleenroll"), {request}).front();
  };
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

TEST_CASE("csrattrs names the kinds of keys that are taken") {
  Enrolment enrolment;
  const Response response = enrolment.ask("csrattrs", {});
  CHECK(response.status == 200);
  CHECK(response.content_type == "application/csrattrs");
  CHECK(crypto::base64_decode(response.body, 1000) == crypto::csr_attributes_der());
}

TEST_CASE("another media type than that of requests is refused") {
  Enrolment enrolment;
  const auto key = *crypto::PrivateKey::generate();
  enrolment.register_key("d1", key.spki_der());
  Request request;
  request.body = crypto::base64_encode(*crypto::make_request(key, "d1"));
  request.headers["content-type"] = "application/json";
  CHECK(problem_of(enrolment.ask("simpleenroll", request)) == "415 unsupported_media_type");
  request.headers["content-type"] = "Application/PKCS10; charset=utf-8";
  CHECK(enrolment.ask("simpleenroll", request).status == 200);
}

TEST_CASE("an address that is refused too often has to wait, others not") {
  Enrolment enrolment;
  enrolment.attempts = {.per_address_burst = 3, .per_address_each_second = 1};
  const auto key = *crypto::PrivateKey::generate();
  enrolment.register_key("d1", key.spki_der());
  const auto table = enrolment.table();
  const auto& endpoint = Enrolment::find(table, "simpleenroll");
  Request good;
  good.body = crypto::base64_encode(*crypto::make_request(key, "d1"));
  good.client_certificate = self_signed(key);
  good.peer_address = "192.0.2.1";
  for (int count = 0; count < 10; ++count) {
    CHECK(Enrolment::ask(endpoint, {good}).front().status == 200);  // what is right costs nothing
  }
  Request bad = good;
  bad.body = "nonsense";
  for (int count = 0; count < 3; ++count) {
    CHECK(Enrolment::ask(endpoint, {bad}).front().status == 400);
  }
  const Response refused = Enrolment::ask(endpoint, {good}).front();
  CHECK(problem_of(refused) == "429 too_many_attempts");
  CHECK(refused.headers.front().first == "Retry-After");
  good.peer_address = "192.0.2.2";
  CHECK(Enrolment::ask(endpoint, {good}).front().status == 200);
  enrolment.pass(2s);
  good.peer_address = "192.0.2.1";
  CHECK(Enrolment::ask(endpoint, {good}).front().status == 200);
}

TEST_CASE("in approval mode an unknown key waits for a human, then the same request is answered") {
  Enrolment enrolment;
  enrolment.mode = auth::EnrolmentMode::approval;
  const auto key = *crypto::PrivateKey::generate();
  const std::string der = *crypto::make_request(key, "pump-7");
  for (int count = 0; count < 3; ++count) {
    const Response waiting = enrolment.enroll_der(der, self_signed(key));
    CHECK(waiting.status == 202);
    CHECK(waiting.headers.front().first == "Retry-After");
  }
  auto& registry = *enrolment.fixture.registry;
  const auto pending = registry.find_by_fingerprint(key.fingerprint());
  REQUIRE(pending);
  CHECK(pending->id == "pump-7");
  CHECK(pending->state == auth::DeviceState::pending);
  CHECK(pending->request->key_type == "EC P-256");
  const auto approved = test::RegistryFixture::wait([&](auto done) {
    registry.approve("pump-7", {key.fingerprint(), {}, {}}, test::RegistryFixture::change(), done);
  });
  REQUIRE(approved.has_value());
  CHECK(certificate_in(enrolment.enroll_der(der)).fields()->common_name == "pump-7");
  CHECK(registry.find("pump-7")->state == auth::DeviceState::enrolled);
}

TEST_CASE("a device that a human has refused is told so") {
  Enrolment enrolment;
  enrolment.mode = auth::EnrolmentMode::approval;
  const auto key = *crypto::PrivateKey::generate();
  const std::string der = *crypto::make_request(key, "pump-7");
  CHECK(enrolment.enroll_der(der).status == 202);
  const auto rejected = test::RegistryFixture::wait([&](auto done) {
    enrolment.fixture.registry->reject("pump-7", key.fingerprint(), test::RegistryFixture::change(),
                                       done);
  });
  REQUIRE(rejected.has_value());
  CHECK(problem_of(enrolment.enroll_der(der)) == "403 enrolment_rejected");
}

TEST_CASE("suspended, retired and expired devices do not enrol") {
  Enrolment enrolment;
  auto& registry = *enrolment.fixture.registry;
  const auto change = test::RegistryFixture::change();
  const auto key = *crypto::PrivateKey::generate();
  enrolment.register_key("d1", key.spki_der());
  const std::string der = *crypto::make_request(key, "d1");
  REQUIRE(test::RegistryFixture::wait([&](auto done) {
            registry.suspend("d1", change, done);
          }).has_value());
  CHECK(problem_of(enrolment.enroll_der(der)) == "403 device_suspended");
  REQUIRE(test::RegistryFixture::wait([&](auto done) {
            registry.resume("d1", change, done);
          }).has_value());
  auth::DevicePatch patch;
  patch.not_after = start_of_test + 1h;
  REQUIRE(test::RegistryFixture::wait([&](auto done) {
            registry.update("d1", patch, change, done);
          }).has_value());
  CHECK(enrolment.enroll_der(der).status == 200);
  enrolment.pass(2h);
  CHECK(problem_of(enrolment.enroll_der(der)) == "403 device_expired");
  enrolment.pass(-2h);
  REQUIRE(test::RegistryFixture::wait([&](auto done) {
            registry.retire("d1", change, done);
          }).has_value());
  CHECK(problem_of(enrolment.enroll_der(der)) == "403 device_retired");
}

TEST_CASE("without the key of the device CA enrolment waits, and goes on when it is back") {
  Enrolment enrolment;
  const auto key = *crypto::PrivateKey::generate();
  enrolment.register_key("d1", key.spki_der());
  const std::string path = enrolment.directory.path + "/ca/device-ca.key";
  std::filesystem::rename(path, path + ".away");
  enrolment.authority = auth::CertificateAuthority::open(
      {.data_dir = enrolment.directory.path, .server_names = {"localhost"}}, start_of_test);
  CHECK_FALSE(enrolment.authority->can_sign());
  const std::string der = *crypto::make_request(key, "d1");
  const Response refused = enrolment.enroll_der(der);
  CHECK(problem_of(refused) == "503 authority_unavailable");
  CHECK(enrolment.ask("cacerts", {}).status == 200);
  std::filesystem::rename(path + ".away", path);
  CHECK(enrolment.enroll_der(der).status == 200);
}

TEST_CASE("a replayed request pushes out no certificate of the device") {
  Enrolment enrolment;
  const auto key = *crypto::PrivateKey::generate();
  enrolment.register_key("d1", key.spki_der());
  const std::string der = *crypto::make_request(key, "d1");
  const auto first = certificate_in(enrolment.enroll_der(der)).fields()->serial;
  for (std::size_t count = 1; count < unproven_certificates_per_key_max; ++count) {
    CHECK(enrolment.enroll_der(der).status == 200);
  }
  CHECK(problem_of(enrolment.enroll_der(der)) == "403 proof_needed");
  CHECK(enrolment.enroll_der(der, self_signed(key)).status == 200);
  CHECK(enrolment.fixture.registry->find("d1")->keys[0].certificates[0].serial == first);
  enrolment.pass(31 * 24h);
  CHECK(enrolment.enroll_der(der).status == 200);
}
