// Who is let in by which certificate: the whole matrix, on the authenticator alone.
#include <doctest/doctest.h>

#include "auth/authenticator_chain.hpp"
#include "auth/certificate_authenticator.hpp"
#include "auth_fixture.hpp"

using namespace skerry;
using namespace std::chrono_literals;
using mqtt::Reason;
using plugin::Credentials;
using plugin::Identity;
using test::start_of_test;

namespace {

using Outcome = Result<Identity, mqtt::Violation>;

Outcome ask(plugin::Authenticator& authenticator, const Credentials& credentials) {
  std::optional<Outcome> outcome;
  authenticator.authenticate(credentials, SteadyTime{}, [&](Outcome answer) {
    CHECK_FALSE(outcome);
    outcome = std::move(answer);
  });
  REQUIRE(outcome);
  return *outcome;
}

/// Device d1 is enrolled with `key`; certificates of any kind can be made for it.
struct World {
  test::RegistryFixture registry;
  crypto::PrivateKey ca_key = *crypto::PrivateKey::generate();
  crypto::Certificate ca = make_ca(ca_key);
  crypto::PrivateKey key = *crypto::PrivateKey::generate();
  WallTime now = start_of_test;
  auth::CertificateAuthenticator authenticator{*registry.registry, ca, [this] { return now; }};

  World() { REQUIRE(registry.create("d1", {key.fingerprint()}).has_value()); }

  static crypto::Certificate make_ca(const crypto::PrivateKey& key) {
    crypto::CertificateProfile profile;
    profile.common_name = "Device CA";
    profile.spki_der = key.spki_der();
    profile.not_before = start_of_test - 1h;
    profile.not_after = start_of_test + 10000h;
    profile.is_authority = true;
    return *crypto::issue_certificate(profile, {}, key);
  }

  crypto::CertificateProfile profile() const {
    crypto::CertificateProfile profile;
    profile.common_name = "d1";
    profile.spki_der = key.spki_der();
    profile.not_before = start_of_test - 5min;
    profile.not_after = start_of_test + 24h;
    profile.client_authentication = true;
    profile.uris = {"urn:skerry:device:d1"};
    return profile;
  }

  crypto::Certificate issue(const crypto::CertificateProfile& profile) const {
    return *crypto::issue_certificate(profile, ca, ca_key);
  }

  crypto::Certificate recorded(const crypto::CertificateProfile& profile) {
    const crypto::Certificate certificate = issue(profile);
    const auto fields = *certificate.fields();
    REQUIRE(registry.record("d1", key.fingerprint(), fields.serial, fields.not_after).has_value());
    return certificate;
  }

  Outcome ask_with(const crypto::Certificate& certificate) {
    Credentials credentials;
    credentials.certificate_chain = {certificate.der()};
    credentials.client_id = "any client id at all";
    return ask(authenticator, credentials);
  }

  /// Refused with this reason and a sentence that holds these words.
  void check_refused(const crypto::Certificate& certificate, Reason reason,
                     std::string_view words) {
    const Outcome outcome = ask_with(certificate);
    REQUIRE_FALSE(outcome.has_value());
    CHECK(outcome.error().reason == reason);
    CAPTURE(outcome.error().what);
    CHECK(std::string_view{outcome.error().what}.find(words) != std::string_view::npos);
  }
};

}  // namespace

TEST_CASE("an enrolled device is let in under its own name, whatever its client id") {
  World world;
  const auto certificate = world.recorded(world.profile());
  const Outcome outcome = world.ask_with(certificate);
  REQUIRE(outcome.has_value());
  CHECK(outcome->kind == plugin::IdentityKind::device);
  CHECK(outcome->policy == plugin::PolicyKind::device);
  CHECK(outcome->name == "d1");
  CHECK(outcome->owner() == "device:d1");
  CHECK(outcome->certificate_serial == certificate.fields()->serial);
  CHECK(outcome->key_fingerprint == world.key.fingerprint());
  CHECK(outcome->not_after == start_of_test + 24h);
}

TEST_CASE("a device gets the policy of the listener that it came by") {
  World world;
  Credentials credentials;
  credentials.certificate_chain = {world.recorded(world.profile()).der()};
  credentials.policy = plugin::PolicyKind::open;
  const Outcome outcome = ask(world.authenticator, credentials);
  REQUIRE(outcome.has_value());
  CHECK(outcome->policy == plugin::PolicyKind::open);
  CHECK(outcome->owner() == "device:d1");
}

TEST_CASE("a certificate counts only inside its validity") {
  World world;
  const auto certificate = world.recorded(world.profile());
  world.now = start_of_test - 5min - 1s;
  world.check_refused(certificate, Reason::not_authorized, "not valid yet");
  world.now = start_of_test - 5min;
  CHECK(world.ask_with(certificate).has_value());
  world.now = start_of_test + 24h - 1ms;
  CHECK(world.ask_with(certificate).has_value());
  world.now = start_of_test + 24h;
  world.check_refused(certificate, Reason::not_authorized, "expired");
}

TEST_CASE("wrong extended key usage is refused") {
  World world;
  auto profile = world.profile();
  profile.client_authentication = false;
  world.check_refused(world.recorded(profile), Reason::not_authorized, "clientAuth");
  profile.server_authentication = true;
  world.check_refused(world.recorded(profile), Reason::not_authorized, "clientAuth");
  profile.client_authentication = true;
  world.check_refused(world.recorded(profile), Reason::not_authorized, "clientAuth");
  profile = world.profile();
  profile.is_authority = true;
  world.check_refused(world.recorded(profile), Reason::not_authorized, "clientAuth");
}

TEST_CASE("a certificate of another authority, even of the same name, is refused") {
  World world;
  const auto foreign_key = *crypto::PrivateKey::generate();
  const auto foreign_ca = World::make_ca(foreign_key);
  const auto certificate = *crypto::issue_certificate(world.profile(), foreign_ca, foreign_key);
  REQUIRE(world.registry.record("d1", world.key.fingerprint(), certificate.fields()->serial)
              .has_value());
  world.check_refused(certificate, Reason::not_authorized, "device CA");
}

TEST_CASE("a self-signed certificate over the registered key is refused") {
  World world;
  const auto certificate = *crypto::issue_certificate(world.profile(), {}, world.key);
  world.check_refused(certificate, Reason::not_authorized, "device CA");
}

TEST_CASE("the certificate must name exactly one device of ours") {
  World world;
  const std::vector<std::vector<std::string>> lists = {
      {},
      {"urn:skerry:device:d1", "urn:skerry:device:d2"},
      {"urn:skerry:device:d1", "urn:skerry:device:d1"},
      {"urn:skerry:device:d1", "urn:skerry:service:s"},
      {"urn:skerry:user:d1"},
      {"urn:skerry:device:"},
      {"urn:skerry:device:d1/x"},
      {"urn:skerry:device:sub"},
      {"URN:skerry:device:d1"},
      {"https://example.com/d1"},
      {"xurn:skerry:device:d1"}};
  for (const auto& uris : lists) {
    auto profile = world.profile();
    profile.uris = uris;
    world.check_refused(world.recorded(profile), Reason::not_authorized, "exactly one device");
  }
  auto service = world.profile();
  service.uris = {"urn:skerry:service:d1"};
  world.check_refused(world.recorded(service), Reason::not_authorized, "services do not connect");
  auto profile = world.profile();
  profile.uris = {"https://example.com/d1", "urn:skerry:device:d1"};
  CHECK(world.ask_with(world.recorded(profile)).has_value());
}

TEST_CASE("a certificate that names another device's id does not pass with one's own key") {
  World world;
  const auto other = *crypto::PrivateKey::generate();
  REQUIRE(world.registry.create("d2", {other.fingerprint()}).has_value());
  REQUIRE(world.registry.record("d2", other.fingerprint(), "aa").has_value());
  auto profile = world.profile();
  profile.uris = {"urn:skerry:device:d2"};
  world.check_refused(world.recorded(profile), Reason::not_authorized, "key is not registered");
}

TEST_CASE("a device that is not registered or not enrolled is refused") {
  World world;
  world.check_refused(world.issue(world.profile()), Reason::not_authorized, "not enrolled");
  auto profile = world.profile();
  profile.uris = {"urn:skerry:device:d9"};
  world.check_refused(world.issue(profile), Reason::not_authorized, "not registered");
}

TEST_CASE("a certificate that the registry did not record is refused") {
  World world;
  world.recorded(world.profile());
  world.check_refused(world.issue(world.profile()), Reason::banned, "superseded");
}

TEST_CASE("an erased device is refused, also when its id and key are registered again") {
  World world;
  const auto certificate = world.recorded(world.profile());
  const Identity identity = *world.ask_with(certificate);
  CHECK(world.authenticator.standing(identity, world.now).valid());
  REQUIRE(world.registry.erase("d1").has_value());
  world.check_refused(certificate, Reason::banned, "revoked");
  using State = plugin::Standing::State;
  CHECK(world.authenticator.standing(identity, world.now).state == State::erased);
  REQUIRE(world.registry.create("d1", {world.key.fingerprint()}).has_value());
  // Whoever looks only now must not take it for a device that just has no certificate yet.
  CHECK(world.authenticator.standing(identity, world.now).state == State::revoked);
  world.check_refused(certificate, Reason::banned, "revoked");
  CHECK(world.ask_with(world.recorded(world.profile())).has_value());
  CHECK_FALSE(world.authenticator.standing(identity, world.now).valid());
}

TEST_CASE("an identity ends with its certificate") {
  World world;
  const Identity identity = *world.ask_with(world.recorded(world.profile()));
  CHECK(world.authenticator.standing(identity, identity.not_after - 1ms).valid());
  CHECK_FALSE(world.authenticator.standing(identity, identity.not_after).valid());
}

TEST_CASE("no certificate and nonsense instead of one are refused") {
  World world;
  CHECK(ask(world.authenticator, {}).error().reason == Reason::not_authorized);
  Credentials credentials;
  credentials.certificate_chain = {"nonsense"};
  CHECK(ask(world.authenticator, credentials).error().reason == Reason::not_authorized);
  const std::string der = world.recorded(world.profile()).der();
  for (std::size_t size = 0; size < der.size(); ++size) {
    credentials.certificate_chain = {der.substr(0, size)};
    CHECK_FALSE(ask(world.authenticator, credentials).has_value());
  }
}

TEST_CASE("anonymous clients get the listener's policy and domain") {
  auth::AnonymousAuthenticator authenticator;
  Credentials credentials;
  credentials.domain = "plant";
  credentials.policy = plugin::PolicyKind::open;
  const Outcome outcome = ask(authenticator, credentials);
  REQUIRE(outcome.has_value());
  CHECK(outcome->kind == plugin::IdentityKind::anonymous);
  CHECK(outcome->policy == plugin::PolicyKind::open);
  CHECK(outcome->owner() == "domain:plant");
}

TEST_CASE(
    "a list asks the first method for which something was shown, and that one decides alone") {
  World world;
  using Method = auth::AuthenticatorChain::Method;
  const std::shared_ptr<plugin::Authenticator> certificate{&world.authenticator, [](auto*) {}};
  const auto anonymous = std::make_shared<auth::AnonymousAuthenticator>();
  auth::AuthenticatorChain both{
      {{Method::certificate, certificate}, {Method::anonymous, anonymous}}};
  auth::AuthenticatorChain strict{{{Method::certificate, certificate}}};
  auth::AuthenticatorChain none{{}};
  Credentials shown;
  shown.domain = "plant";
  CHECK(ask(both, shown)->kind == plugin::IdentityKind::anonymous);
  CHECK(ask(strict, shown).error().reason == Reason::not_authorized);
  CHECK(ask(none, shown).error().reason == Reason::not_authorized);
  const auto good = world.recorded(world.profile());
  shown.certificate_chain = {good.der()};
  CHECK(ask(both, shown)->name == "d1");
  REQUIRE(world.registry.erase("d1").has_value());
  CHECK(ask(both, shown).error().reason == Reason::banned);
}
