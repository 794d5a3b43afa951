// Keys and certificates in files: who may read them, what a crash between two steps leaves, and
// that a certificate which is not ours is not taken.
#include "device/identity_store.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "device/enrolment.hpp"
#include "unit/device/scratch.hpp"

using namespace skerry;
using namespace skerry::agent;
using namespace std::chrono_literals;

namespace {

const WallTime issued = wall_from_epoch(1'732'536'000'000);

crypto::Certificate certificate_for(const crypto::PrivateKey& key, const std::string& device,
                                    bool client = true) {
  const auto authority = *crypto::PrivateKey::generate();
  crypto::CertificateProfile profile;
  profile.common_name = device;
  profile.spki_der = key.spki_der();
  profile.not_before = issued;
  profile.not_after = issued + 24h * 30;
  profile.client_authentication = client;
  profile.server_authentication = !client;
  profile.uris = {"urn:skerry:device:" + device};
  return *crypto::issue_certificate(profile, {}, authority);
}

unsigned mode_of(const std::string& path) {
  struct stat found {};
  REQUIRE(stat(path.c_str(), &found) == 0);
  return found.st_mode & 0777;
}

TEST_CASE("a key is made once and is nobody else's to read") {
  const Scratch scratch;
  const std::string first = IdentityStore{scratch.path(), "pump-7"}.key().fingerprint();
  CHECK(IdentityStore{scratch.path(), "pump-7"}.key().fingerprint() == first);
  CHECK(mode_of(scratch.path("next.pem")) == 0600);
  scratch.write("next.pem", "damaged");
  CHECK(IdentityStore{scratch.path(), "pump-7"}.key().fingerprint() != first);
}

TEST_CASE("an installed pair is there after a restart, and the next key is another") {
  const Scratch scratch;
  IdentityStore store{scratch.path(), "pump-7"};
  CHECK_FALSE(store.current());
  const crypto::PrivateKey key = store.next_key();
  store.install(key, certificate_for(key, "pump-7"));
  CHECK(mode_of(store.credential_path()) == 0600);
  IdentityStore again{scratch.path(), "pump-7"};
  REQUIRE(again.current());
  CHECK(again.key().fingerprint() == key.fingerprint());
  const std::string next = again.next_key().fingerprint();
  CHECK(next != key.fingerprint());
  CHECK(again.next_key().fingerprint() == next);
  CHECK(again.key().fingerprint() == key.fingerprint());
}

TEST_CASE("a crash between installing and letting go of the next key leaves a good pair") {
  const Scratch scratch;
  IdentityStore store{scratch.path(), "pump-7"};
  const crypto::PrivateKey key = store.next_key();
  const std::string next = scratch.read("next.pem");
  store.install(key, certificate_for(key, "pump-7"));
  scratch.write("next.pem", next);
  IdentityStore again{scratch.path(), "pump-7"};
  REQUIRE(again.current());
  CHECK(again.next_key().fingerprint() != key.fingerprint());
}

TEST_CASE("certificates that are not this device's are refused, and what is there stays") {
  const Scratch scratch;
  IdentityStore store{scratch.path(), "pump-7"};
  const crypto::PrivateKey key = store.next_key();
  const auto stranger = *crypto::PrivateKey::generate();
  CHECK_THROWS(store.install(key, certificate_for(stranger, "pump-7")));
  CHECK_THROWS(store.install(key, certificate_for(key, "pump-8")));
  CHECK_THROWS(store.install(key, certificate_for(key, "pump-7", false)));
  CHECK_FALSE(store.current());
  store.install(key, certificate_for(key, "pump-7"));
  CHECK_THROWS(store.install(key, certificate_for(key, "pump-8")));
  CHECK(IdentityStore{scratch.path(), "pump-7"}.current());
}

TEST_CASE("a pair that cannot be used is put aside") {
  const Scratch scratch;
  scratch.write("device.pem", "nothing of ours");
  IdentityStore store{scratch.path(), "pump-7"};
  CHECK_FALSE(store.current());
  CHECK(scratch.read("device.pem.damaged") == "nothing of ours");
  const auto key = *crypto::PrivateKey::generate();
  const auto stranger = *crypto::PrivateKey::generate();
  scratch.write("device.pem", key.pem() + certificate_for(stranger, "pump-7").pem());
  CHECK_FALSE(IdentityStore{scratch.path(), "pump-7"}.current());
}

TEST_CASE("renewals of a fleet are spread over a tenth of the life, from two thirds of it") {
  crypto::CertificateFields fields;
  fields.not_before = issued;
  fields.not_after = issued + 24h * 30;
  WallTime first = fields.not_after;
  WallTime last = issued;
  for (int serial = 0; serial < 300; ++serial) {
    fields.serial = std::to_string(serial);
    const WallTime due = renewal_due(fields);
    CHECK(due == renewal_due(fields));
    first = std::min(first, due);
    last = std::max(last, due);
  }
  CHECK(first >= issued + 24h * 20);
  CHECK(first < issued + 24h * 20 + 6h);
  CHECK(last > issued + 24h * 22);
  CHECK(last <= issued + 24h * 23);
}

}  // namespace
