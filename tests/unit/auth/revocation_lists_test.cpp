// The revocation lists of listeners: what is read, kept and refused, and who is out by them.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "auth/certificate_authenticator.hpp"
#include "auth_fixture.hpp"
#include "crypto/crl.hpp"

using namespace skerry;
using namespace std::chrono_literals;
using State = plugin::Standing::State;
using test::start_of_test;

namespace {

/// Device d1 with an own certificate, and a file of lists that its CA or another one signs.
struct World {
  std::string directory;
  test::RegistryFixture registry;
  crypto::PrivateKey ca_key = *crypto::PrivateKey::generate();
  crypto::Certificate ca = make_ca(ca_key);
  crypto::PrivateKey key = *crypto::PrivateKey::generate();
  std::vector<std::string> warnings;
  auth::RevocationLists lists{[this](std::string_view line) { warnings.emplace_back(line); }};
  auth::CertificateAuthenticator authenticator{*registry.registry, ca, [] { return start_of_test; },
                                               nullptr, &lists};
  crypto::Certificate certificate;
  std::string serial;

  World() {
    std::string pattern = (std::filesystem::temp_directory_path() / "skerry-crl-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    directory = pattern;
    REQUIRE(registry.create("d1", {key.fingerprint()}).has_value());
    crypto::CertificateProfile profile;
    profile.common_name = "d1";
    profile.spki_der = key.spki_der();
    profile.not_before = start_of_test - 1h;
    profile.not_after = start_of_test + 24h;
    profile.client_authentication = true;
    profile.uris = {"urn:skerry:device:d1"};
    certificate = *crypto::issue_certificate(profile, ca, ca_key);
    serial = certificate.fields()->serial;
    REQUIRE(registry.record("d1", key.fingerprint(), serial, profile.not_after).has_value());
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() { std::filesystem::remove_all(directory); }

  static crypto::Certificate make_ca(const crypto::PrivateKey& key) {
    crypto::CertificateProfile profile;
    profile.common_name = "Device CA";
    profile.spki_der = key.spki_der();
    profile.not_before = start_of_test - 1h;
    profile.not_after = start_of_test + 10000h;
    profile.is_authority = true;
    return *crypto::issue_certificate(profile, {}, key);
  }

  std::string path() const { return directory + "/device.crl"; }

  void write(const std::string& content) const {
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << content;
  }

  std::string list(std::vector<std::string> serials, WallTime next = start_of_test + 1h) const {
    crypto::CrlProfile profile{1, start_of_test - 2h, next, {}};
    for (std::string& each : serials) {
      profile.entries.push_back({std::move(each), start_of_test - 2h, 1});
    }
    return *crypto::make_crl(profile, ca, ca_key);
  }

  bool has(std::string_view listed) const {
    return lists.contains(auth::RevocationLists::issuer_of(ca), listed);
  }
  void reload() { lists.replace(lists.read_again(start_of_test)); }

  Result<plugin::Identity, mqtt::Violation> ask() {
    plugin::Credentials credentials;
    credentials.certificate_chain = {certificate.der()};
    std::optional<Result<plugin::Identity, mqtt::Violation>> outcome;
    authenticator.authenticate(credentials, SteadyTime{},
                               [&](auto answer) { outcome = std::move(answer); });
    REQUIRE(outcome);
    return *outcome;
  }
};

}  // namespace

TEST_CASE("a certificate on the list is refused, and its live session has lost its standing") {
  World world;
  world.write(world.list({"0a"}));
  world.lists.add(world.path(), world.ca, start_of_test);
  const auto identity = world.ask();
  REQUIRE(identity.has_value());
  CHECK(world.authenticator.standing(*identity, start_of_test).state == State::valid);
  world.write(world.list({"0a", world.serial}));
  const auto read = world.lists.read_again(start_of_test);
  CHECK(world.ask().has_value());  // read, and not yet in force
  world.lists.replace(read);
  CHECK(world.authenticator.standing(*identity, start_of_test).state == State::revoked);
  const auto refused = world.ask();
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().reason == mqtt::Reason::banned);
  CHECK(std::string_view{refused.error().what}.find("revoked") != std::string_view::npos);
  world.write(world.list({"0a"}));  // taken off again (certificateHold has ended)
  world.reload();
  CHECK(world.ask().has_value());
  CHECK(world.warnings.empty());
}

TEST_CASE("a file that cannot be used is said by name, and what was read stays") {
  World world;
  CHECK_THROWS_WITH_AS(world.lists.add(world.path(), world.ca, start_of_test),
                       doctest::Contains("no such file"), std::runtime_error);
  world.write(world.list({world.serial}));
  world.lists.add(world.path(), world.ca, start_of_test);
  const auto foreign_key = *crypto::PrivateKey::generate();
  const auto foreign = *crypto::make_crl({2, start_of_test, start_of_test + 1h, {}},
                                         World::make_ca(foreign_key), foreign_key);
  for (const std::string& content : {std::string{"nonsense"}, std::string{}, foreign}) {
    world.write(content);
    CHECK_THROWS_WITH_AS(world.reload(), doctest::Contains(world.path().c_str()),
                         std::runtime_error);
    CHECK(world.has(world.serial));
  }
  std::filesystem::remove(world.path());
  CHECK_THROWS_AS(world.reload(), std::runtime_error);
  CHECK_FALSE(world.ask().has_value());
}

TEST_CASE("a list that has run out is warned of and stays in force") {
  World world;
  world.write(world.list({world.serial}, start_of_test - 1h));
  world.lists.add(world.path(), world.ca, start_of_test);
  REQUIRE(world.warnings.size() == 1);
  CHECK(world.warnings[0].find(world.path()) != std::string::npos);
  CHECK_FALSE(world.ask().has_value());
}

TEST_CASE("lists of several files count together") {
  World world;
  world.write(world.list({"0a"}));
  world.lists.add(world.path(), world.ca, start_of_test);
  const std::string other = world.directory + "/other.crl";
  std::ofstream(other, std::ios::binary) << world.list({"0b"});
  world.lists.add(other, world.ca, start_of_test);
  world.reload();
  CHECK(world.has("0a"));
  CHECK(world.has("0b"));
  CHECK_FALSE(world.has("0c"));
}

TEST_CASE("a list says nothing of another authority's certificate with the same serial") {
  World world;
  const auto foreign_key = *crypto::PrivateKey::generate();
  const auto foreign = World::make_ca(foreign_key);
  crypto::CrlProfile profile{1, start_of_test - 2h, start_of_test + 1h, {}};
  profile.entries = {{world.serial, start_of_test - 2h, 1}};
  world.write(*crypto::make_crl(profile, foreign, foreign_key));
  world.lists.add(world.path(), foreign, start_of_test);
  auto identity = world.ask();
  REQUIRE(identity.has_value());
  CHECK(world.authenticator.standing(*identity, start_of_test).state == State::valid);
  // One that another listener has found by that authority is judged by its list, and one from
  // before that was kept by all of them.
  for (const std::string& issuer : {auth::RevocationLists::issuer_of(foreign), std::string{}}) {
    identity->proof_id = issuer;
    CHECK(world.authenticator.standing(*identity, start_of_test).state == State::revoked);
  }
}
