// Back-end services: registered, given certificates, let in by them, and cut off again.

#include "auth/service_registry.hpp"
#include "auth/certificate_authenticator.hpp"
#include "base/limits.hpp"
#include "est_fixture.hpp"

using namespace skerry;
using namespace std::chrono_literals;
using auth::RevocationReason;
using auth::ServiceError;
using test::start_of_test;

namespace {

struct World {
  test::Enrolment base;
  std::unique_ptr<auth::ServiceRegistry> services =
      std::make_unique<auth::ServiceRegistry>(*base.fixture.audit);
  crypto::PrivateKey key = *crypto::PrivateKey::generate();
  std::vector<std::string> ended;

  World() {
    services->on_end([this](const std::string& name, const std::string& serial) {
      ended.push_back(name + "/" + serial);
    });
  }

  static auth::ServiceRegistry::Change change(std::chrono::seconds later = 0s) {
    return {start_of_test + later, {"user:admin", "192.0.2.7"}};
  }
  auth::ServiceOutcome create(const std::string& name, const std::string& policy = "service-read") {
    return test::run(services->create(name, policy, change()));
  }
  crypto::Certificate certificate(const std::string& name, std::chrono::seconds life = 1h) {
    const auto made =
        *base.authority->issue_service_certificate(name, key.spki_der(), life, start_of_test);
    const auto fields = *made.fields();
    REQUIRE(
        test::run(services->record_certificate(
                      name, {fields.serial, fields.fingerprint, start_of_test, fields.not_after},
                      change()))
            .has_value());
    return made;
  }
  Result<plugin::Identity, mqtt::Violation> connect(const crypto::Certificate& certificate,
                                                    bool with_services = true) {
    auth::CertificateAuthenticator authenticator{
        *base.fixture.registry, base.authority->device_ca(), [this] { return base.now.wall; },
        with_services ? services.get() : nullptr};
    plugin::Credentials credentials;
    credentials.certificate_chain = {certificate.der()};
    std::optional<Result<plugin::Identity, mqtt::Violation>> answer;
    authenticator.authenticate(credentials, {}, [&](auto outcome) { answer = outcome; });
    return *answer;
  }
};

ServiceError error_of(const auth::ServiceOutcome& outcome) {
  return outcome.error().code;
}

}  // namespace

TEST_CASE("a service connects by its certificate, under its own policy") {
  World world;
  REQUIRE(world.create("historian").has_value());
  REQUIRE(world.create("commander", "service-write").has_value());
  const auto identity = world.connect(world.certificate("historian"));
  REQUIRE(identity.has_value());
  CHECK(identity->owner() == "service:historian");
  CHECK(identity->policy == plugin::PolicyKind::service_read);
  CHECK(identity->not_after == start_of_test + 1h);
  CHECK(world.connect(world.certificate("commander"))->policy == plugin::PolicyKind::service_write);
  CHECK_FALSE(world.connect(world.certificate("commander"), false).has_value());
  world.base.pass(1h);
  CHECK_FALSE(world.connect(world.certificate("historian")).has_value());
}

TEST_CASE("a certificate that was not recorded for this very service is refused") {
  World world;
  REQUIRE(world.create("historian").has_value());
  const auto unrecorded = *world.base.authority->issue_service_certificate(
      "historian", world.key.spki_der(), 1h, start_of_test);
  CHECK_FALSE(world.connect(unrecorded).has_value());
  const auto unknown = *world.base.authority->issue_service_certificate(
      "nobody", world.key.spki_der(), 1h, start_of_test);
  CHECK_FALSE(world.connect(unknown).has_value());
  // A device of the same name is somebody else.
  world.base.register_key("historian", world.key.spki_der());
  const auto device =
      test::certificate_in(world.base.enroll_der(*crypto::make_request(world.key, "historian")));
  CHECK(world.connect(device)->owner() == "device:historian");
}

TEST_CASE("a revoked certificate is refused at once and listed, others go on") {
  World world;
  REQUIRE(world.create("historian").has_value());
  const auto first = world.certificate("historian");
  const auto second = world.certificate("historian");
  const std::string serial = first.fields()->serial;
  REQUIRE(test::run(world.services->revoke_certificate(
                        "historian", serial, RevocationReason::key_compromise, World::change()))
              .has_value());
  CHECK(world.connect(first).error().reason == mqtt::Reason::banned);
  const auto identity = world.connect(second);
  REQUIRE(identity.has_value());
  auto lost = *identity;
  lost.certificate_serial = serial;
  auth::CertificateAuthenticator judge{*world.base.fixture.registry,
                                       world.base.authority->device_ca(),
                                       [] { return start_of_test; }, world.services.get()};
  using State = plugin::Standing::State;
  CHECK(judge.standing(*identity, start_of_test).state == State::valid);
  CHECK(judge.standing(*identity, start_of_test).until == start_of_test + 1h);
  CHECK(judge.standing(*identity, start_of_test + 1h).state == State::expired);
  CHECK(judge.standing(lost, start_of_test).state == State::revoked);
  CHECK(world.ended == std::vector<std::string>(2, "historian/" + serial));
  const auto revoked = world.services->revocations(start_of_test);
  REQUIRE(revoked.size() == 1);
  CHECK(revoked[0].serial == serial);
  CHECK(revoked[0].revocation.reason == RevocationReason::key_compromise);
  CHECK(world.services->revocations(start_of_test + 2h).empty());
  CHECK(error_of(test::run(world.services->revoke_certificate(
            "historian", serial, RevocationReason::unspecified, World::change()))) ==
        ServiceError::certificate_not_found);
}

TEST_CASE("a deleted service is refused, also when its name comes back") {
  World world;
  REQUIRE(world.create("historian").has_value());
  const auto certificate = world.certificate("historian");
  REQUIRE(test::run(world.services->erase("historian", World::change())).has_value());
  CHECK_FALSE(world.connect(certificate).has_value());
  CHECK(error_of(test::run(world.services->erase("historian", World::change()))) ==
        ServiceError::not_found);
  REQUIRE(world.create("historian").has_value());
  CHECK(world.connect(certificate).error().reason == mqtt::Reason::banned);
  CHECK(world.services->revocations(start_of_test).size() == 1);
}

TEST_CASE("names, doubles and too many certificates are refused") {
  World world;
  for (const std::string name : {"", "a/b", "sub", "#", "käse"}) {
    CHECK(error_of(world.create(name)) == ServiceError::invalid_name);
  }
  REQUIRE(world.create("historian").has_value());
  CHECK(error_of(world.create("historian")) == ServiceError::exists);
  for (std::size_t count = 0; count < certificates_per_service_max; ++count) {
    world.certificate("historian");
  }
  const auth::ServiceCertificate more{"ff", std::string(64, '0'), start_of_test,
                                      start_of_test + 1h};
  CHECK(error_of(test::run(world.services->record_certificate(
            "historian", more, World::change()))) == ServiceError::limit);
  // Expired ones make room.
  auth::ServiceCertificate later = more;
  later.not_after = start_of_test + 3h;
  REQUIRE(test::run(world.services->record_certificate("historian", later, World::change(2h)))
              .has_value());
  CHECK(world.services->find("historian")->certificates.size() == 1);
}

TEST_CASE("everything survives a restart, and nothing that was not stored is there") {
  World world;
  REQUIRE(world.create("historian", "service-write").has_value());
  const auto kept = world.certificate("historian");
  const auto gone = world.certificate("historian");
  REQUIRE(
      test::run(world.services->revoke_certificate("historian", gone.fields()->serial,
                                                   RevocationReason::superseded, World::change()))
          .has_value());
  world.base.fixture.store->fail_write(1, storage::StatusCode::full);
  CHECK(error_of(world.create("other")) == ServiceError::storage);
  world.base.fixture.store->heal();
  CHECK_FALSE(world.services->find("other"));
  world.services = std::make_unique<auth::ServiceRegistry>(*world.base.fixture.audit);
  REQUIRE(world.services->load(*world.base.fixture.store).ok());
  CHECK(world.connect(kept)->policy == plugin::PolicyKind::service_write);
  CHECK(world.connect(gone).error().reason == mqtt::Reason::banned);
  CHECK_FALSE(world.services->find("other"));
  REQUIRE(world.services->list("", 10).size() == 1);
  CHECK(world.services->list("historian", 10).empty());
}

TEST_CASE("a removal that was not stored locks out and may be repeated") {
  World world;
  REQUIRE(world.create("historian").has_value());
  const auto certificate = world.certificate("historian");
  world.base.fixture.store->fail_write(1, storage::StatusCode::full);
  CHECK(error_of(test::run(world.services->erase("historian", World::change()))) ==
        ServiceError::storage);
  CHECK_FALSE(world.connect(certificate).has_value());
  CHECK(error_of(world.create("historian")) == ServiceError::exists);
  world.base.fixture.store->heal();
  auto again = test::run(world.services->erase("historian", World::change()));
  while (!again && error_of(again) == ServiceError::storage) {
    again = test::run(world.services->erase("historian", World::change()));
  }
  CHECK(again.has_value());
}
