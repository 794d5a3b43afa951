// Renewal by EST and by MQTT: when, by whom, with which key, and what becomes of the old one.
#include "est_fixture.hpp"

#include <condition_variable>
#include <mutex>

#include "auth/renewal_tap.hpp"
#include "base/bytes.hpp"
#include "base/limits.hpp"
#include "unit/crypto/request_maker.hpp"

using namespace skerry;
using namespace std::chrono_literals;
using http::Response;
using test::certificate_in;
using test::Enrolment;
using test::problem_of;
using test::self_signed;
using test::start_of_test;

namespace {

constexpr auto day = std::chrono::days{1};

/// A device "pump-7" with a certificate of 30 days.
struct Enrolled : Enrolment {
  crypto::PrivateKey key = *crypto::PrivateKey::generate();
  std::string certificate;

  Enrolled() {
    register_key("pump-7", key.spki_der());
    certificate = certificate_in(enroll_der(*crypto::make_request(key, "pump-7"))).der();
  }

  static std::string request_over(const crypto::PrivateKey& key) {
    const test::Key raw{EVP_PKEY_dup(key.native()), EVP_PKEY_free};
    return test::make_der({.key = raw, .common_name = ""});
  }
  Response renew() { return reenroll(request_over(key), certificate); }
  std::size_t certificates() {
    return fixture.registry->find("pump-7")->keys[0].certificates.size();
  }
};

}  // namespace

TEST_CASE("a certificate is renewed from two thirds of its life on, not before") {
  Enrolled device;
  device.pass(19 * day);
  const Response early = device.renew();
  CHECK(problem_of(early) == "403 too_early");
  // 66 % of thirty days are 19 days, 19 hours and 12 minutes.
  CHECK(early.headers.front() ==
        std::pair<std::string, std::string>{"Retry-After", std::to_string((19 * 60 + 12) * 60)});
  CHECK(device.certificates() == 1);
  device.pass(day);
  const auto renewed = certificate_in(device.renew());
  CHECK(renewed.fields()->uris.front() == "urn:skerry:device:pump-7");
  CHECK(renewed.fields()->not_after == start_of_test + 50 * day);
  CHECK(device.certificates() == 2);
}

TEST_CASE("an expired certificate is renewed within the grace, and not behind it") {
  Enrolled device;
  device.pass(31 * day);
  CHECK(device.renew().status == 200);
  Enrolled sleeper;
  sleeper.pass((30 + 90) * day + 1s);
  CHECK(problem_of(sleeper.renew()) == "403 certificate_expired");
  Enrolled strict;
  strict.renewal.grace = 0s;
  strict.pass(30 * day);
  CHECK(problem_of(strict.renew()) == "403 certificate_expired");
}

TEST_CASE("a renewal may be repeated when its answer was lost, but not at will") {
  Enrolled device;
  device.pass(20 * day);
  for (std::size_t time = 0; time < auth::renewals_repeated_max; ++time) {
    CHECK(device.renew().status == 200);
    device.pass(1h);
  }
  // A twentieth of thirty days behind the first of them.
  const Response refused = device.renew();
  CHECK(problem_of(refused) == "403 too_early");
  CHECK(refused.headers.front() ==
        std::pair<std::string, std::string>{"Retry-After", std::to_string(33 * 3600)});
  // Nor with other keys: each of them would push out one that the device has.
  const auto fresh = *crypto::PrivateKey::generate();
  CHECK(problem_of(device.reenroll(Enrolled::request_over(fresh), device.certificate)) ==
        "403 too_early");
  CHECK(device.certificates() == 4);
  device.pass(33h);
  CHECK(device.renew().status == 200);
  CHECK(problem_of(device.renew()) == "403 too_early");
  device.renewal.after_percent = 0;
  CHECK(device.renew().status == 200);
}

TEST_CASE("keys that took over count as renewals, another key of the device does not") {
  Enrolled device;
  const auto second = *crypto::PrivateKey::generate();
  const auto added = [&](auto done) {
    device.fixture.registry->add_key("pump-7", auth::KeyWish{second.fingerprint()},
                                     test::RegistryFixture::change(), done);
  };
  REQUIRE(test::RegistryFixture::wait(added).has_value());
  const std::string other =
      certificate_in(device.enroll_der(*crypto::make_request(second, "pump-7"))).der();
  device.pass(20 * day);
  for (std::size_t time = 0; time < auth::renewals_repeated_max; ++time) {
    const auto fresh = *crypto::PrivateKey::generate();
    CHECK(device.reenroll(Enrolled::request_over(fresh), device.certificate).status == 200);
  }
  CHECK(problem_of(device.renew()) == "403 too_early");
  // Keys say not which one they took over from, so those count for the second one as well.
  CHECK(problem_of(device.reenroll(Enrolled::request_over(second), other)) == "403 too_early");
  device.pass(36h + 1s);
  CHECK(device.reenroll(Enrolled::request_over(second), other).status == 200);
}

TEST_CASE("a renewal needs our own certificate, not just the key") {
  Enrolled device;
  device.pass(25 * day);
  const std::string der = Enrolled::request_over(device.key);
  CHECK(problem_of(device.reenroll(der, {})) == "403 certificate_needed");
  CHECK(problem_of(device.reenroll(der, self_signed(device.key))) == "403 certificate_not_ours");
  CHECK(problem_of(device.reenroll(der, "nonsense")) == "403 certificate_malformed");
  CHECK(problem_of(device.reenroll(der, device.authority->device_ca().der())) ==
        "403 certificate_not_ours");
  const auto service = *device.authority->issue_service_certificate("pump-7", device.key.spki_der(),
                                                                    1h, device.now.wall);
  CHECK(problem_of(device.reenroll(der, service.der())) == "403 certificate_not_ours");
  // Issued by the same authority and never recorded.
  const auto unknown =
      *device.authority->issue_device_certificate("pump-7", device.key.spki_der(), start_of_test);
  CHECK(problem_of(device.reenroll(der, unknown.der())) == "403 certificate_superseded");
}

TEST_CASE("names of the request are left out or stay as they are") {
  Enrolled device;
  device.pass(25 * day);
  const test::Key raw{EVP_PKEY_dup(device.key.native()), EVP_PKEY_free};
  CHECK(problem_of(device.reenroll(test::make_der({.key = raw, .common_name = "pump-8"}),
                                   device.certificate)) == "400 names_differ");
  CHECK(problem_of(device.reenroll(
            test::make_der({.key = raw,
                            .common_name = "",
                            .extensions = {{NID_subject_alt_name, "URI:urn:skerry:device:other"}}}),
            device.certificate)) == "400 names_differ");
  CHECK(device
            .reenroll(test::make_der(
                          {.key = raw,
                           .common_name = "pump-7",
                           .organization = "Skerry",
                           .extensions = {{NID_subject_alt_name, "URI:urn:skerry:device:pump-7"}}}),
                      device.certificate)
            .status == 200);
}

TEST_CASE("a revoked certificate, and one of a locked out device, is not renewed") {
  Enrolled device;
  device.pass(25 * day);
  auto& registry = *device.fixture.registry;
  const auto change = test::RegistryFixture::change();
  REQUIRE(test::RegistryFixture::wait([&](auto done) {
            registry.suspend("pump-7", change, done);
          }).has_value());
  CHECK(problem_of(device.renew()) == "403 device_suspended");
  REQUIRE(test::RegistryFixture::wait([&](auto done) {
            registry.resume("pump-7", change, done);
          }).has_value());
  const auto serial = registry.find("pump-7")->keys[0].certificates[0].serial;
  REQUIRE(test::RegistryFixture::wait([&](auto done) {
            registry.revoke_certificate(serial, auth::RevocationReason::unspecified, change, done);
          }).has_value());
  CHECK(problem_of(device.renew()) == "403 certificate_revoked");
  REQUIRE(device.fixture.erase("pump-7").has_value());
  CHECK(problem_of(device.renew()) == "403 certificate_revoked");
}

TEST_CASE("a new key takes over, the old one ends after the overlap") {
  Enrolled device;
  device.key_overlap = 1h;
  device.pass(25 * day);
  const auto fresh = *crypto::PrivateKey::generate();
  const auto renewed =
      certificate_in(device.reenroll(Enrolled::request_over(fresh), device.certificate));
  CHECK(renewed.fields()->fingerprint == fresh.fingerprint());
  const auto record = device.fixture.registry->find("pump-7");
  REQUIRE(record->keys.size() == 2);
  CHECK(record->key(device.key.fingerprint())->not_after == device.now.wall + 1h);
  CHECK_FALSE(record->key(fresh.fingerprint())->not_after);
  // The answer was lost: asked again within the overlap.
  CHECK(device.renew().status == 200);
  device.pass(1h);
  CHECK(problem_of(device.renew()) == "403 certificate_superseded");
  CHECK(problem_of(device.enroll_der(Enrolled::request_over(device.key))) == "403 key_expired");
  device.pass(20 * day);
  CHECK(device.reenroll(Enrolled::request_over(fresh), renewed.der()).status == 200);
}

TEST_CASE("a new key must be proven, and nobody else's") {
  Enrolled device;
  device.pass(25 * day);
  const test::Key fresh = test::elliptic_key("P-384");
  const test::Key old{EVP_PKEY_dup(device.key.native()), EVP_PKEY_free};
  CHECK(problem_of(device.reenroll(test::make_der({.key = fresh, .signer = old, .common_name = ""}),
                                   device.certificate)) == "400 bad_csr_signature");
  const auto taken = *crypto::PrivateKey::generate();
  device.register_key("pump-8", taken.spki_der());
  CHECK(problem_of(device.reenroll(Enrolled::request_over(taken), device.certificate)) ==
        "403 key_in_use");
  CHECK(device.reenroll(test::make_der({.key = fresh, .common_name = ""}), device.certificate)
            .status == 200);
}

TEST_CASE("many rotations stay within the cap of keys") {
  Enrolled device;
  std::string certificate = device.certificate;
  for (unsigned count = 0; count < 2 * keys_per_device_max; ++count) {
    device.pass(21 * day);
    const auto fresh = *crypto::PrivateKey::generate();
    certificate = certificate_in(device.reenroll(Enrolled::request_over(fresh), certificate)).der();
  }
  CHECK(device.fixture.registry->find("pump-7")->keys.size() <= keys_per_device_max);
}

namespace {

/// A tap whose answers can be waited for.
struct MqttRenewal : Enrolled {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<auth::RenewalAnswer> answers;
  std::unique_ptr<auth::RenewalTap> tap;
  plugin::Identity identity;
  storage::Batch batch;

  MqttRenewal() {
    auth::RenewalTapOptions options{*fixture.registry, signer, *fixture.audit, issuer()};
    options.device_ca_pem = authority->device_ca().pem();
    options.clock = [this] { return now; };
    options.publish = [this](auth::RenewalAnswer answer) {
      const std::lock_guard lock{mutex};
      answers.push_back(std::move(answer));
      changed.notify_all();
    };
    tap = std::make_unique<auth::RenewalTap>(std::move(options));
    const auto fields = *crypto::Certificate::from_der(certificate)->fields();
    identity.kind = plugin::IdentityKind::device;
    identity.name = "pump-7";
    identity.certificate_serial = fields.serial;
    identity.key_fingerprint = fields.fingerprint;
    identity.not_after = fields.not_after;
  }

  plugin::TapResult publish(const std::string& topic, const std::string& payload) {
    mqtt::Publish message;
    message.topic = topic;
    message.payload = as_bytes(payload);
    message.properties.correlation_data = as_bytes("ticket 7");
    return tap->on_publish(identity, message, now, batch);
  }

  auth::RenewalAnswer answer(const std::string& payload) {
    REQUIRE(publish("devices/pump-7/certificate/renew", payload).verdict ==
            plugin::TapVerdict::not_mine);
    std::unique_lock lock{mutex};
    REQUIRE(changed.wait_for(lock, 10s, [this] { return !answers.empty(); }));
    auth::RenewalAnswer first = std::move(answers.front());
    answers.clear();
    return first;
  }
};

std::string code_of(const auth::RenewalAnswer& answer) {
  CHECK(answer.topic == "devices/pump-7/certificate/renew/rejected");
  CHECK(answer.content_type == "application/json");
  return boost::json::parse(answer.payload).at("code").as_string().c_str();
}

}  // namespace

TEST_CASE("a request over MQTT is answered with certificate and authority, or with a code") {
  MqttRenewal device;
  const std::string der = Enrolled::request_over(device.key);
  const auto early = device.answer(crypto::base64_encode(der));
  CHECK(code_of(early) == "too_early");
  CHECK(early.correlation_data == "ticket 7");
  device.pass(25 * day);
  CHECK(code_of(device.answer("nonsense")) == "malformed_csr");
  const auto accepted = device.answer(crypto::pem_encode("CERTIFICATE REQUEST", der));
  CHECK(accepted.topic == "devices/pump-7/certificate/renew/accepted");
  CHECK(accepted.correlation_data == "ticket 7");
  const auto certificate = crypto::Certificate::from_pem(accepted.payload);
  REQUIRE(certificate.has_value());
  CHECK(certificate->is_signed_by(device.authority->device_ca()));
  CHECK(accepted.payload.find(device.authority->device_ca().pem()) != std::string::npos);
  CHECK(device.certificates() == 2);
  CHECK(device.batch.empty());
}

TEST_CASE("a new key over MQTT takes over as well") {
  MqttRenewal device;
  device.pass(25 * day);
  const auto fresh = *crypto::PrivateKey::generate();
  const auto accepted = device.answer(crypto::base64_encode(Enrolled::request_over(fresh)));
  CHECK(accepted.topic == "devices/pump-7/certificate/renew/accepted");
  CHECK(device.fixture.registry->find("pump-7")->keys.size() == 2);
}

TEST_CASE("only the device's own topic, by its certificate, asks for a renewal") {
  MqttRenewal device;
  const std::string payload = crypto::base64_encode(Enrolled::request_over(device.key));
  for (const char* topic :
       {"devices/pump-8/certificate/renew", "devices/pump-7/certificate/renew/accepted",
        "devices/pump-7/certificate", "devices/pump-7/telemetry", "certificate/renew"}) {
    CHECK(device.publish(topic, payload).verdict == plugin::TapVerdict::not_mine);
  }
  device.identity.kind = plugin::IdentityKind::anonymous;
  CHECK(device.publish("devices/pump-7/certificate/renew", payload).verdict ==
        plugin::TapVerdict::not_mine);
  device.identity.kind = plugin::IdentityKind::device;
  device.identity.certificate_serial.clear();
  CHECK(device.publish("devices/pump-7/certificate/renew", payload).verdict ==
        plugin::TapVerdict::not_mine);
  CHECK(device.publish("devices/pump-7/certificate/renew", payload).verdict ==
        plugin::TapVerdict::not_mine);
  CHECK(device.answers.empty());
}

TEST_CASE("a device that asks too often or too much is refused by its acknowledgement") {
  MqttRenewal device;
  const std::string topic = "devices/pump-7/certificate/renew";
  CHECK(device.publish(topic, std::string(renewal_payload_bytes_max + 1, 'A')).verdict ==
        plugin::TapVerdict::rejected);
  unsigned busy = 0;
  for (int count = 0; count < 10; ++count) {
    busy += device.publish(topic, "nonsense").verdict == plugin::TapVerdict::busy ? 1 : 0;
  }
  CHECK(busy == 5);
}
