// The registry: what is created, recorded, erased and revoked, also across restarts and failures.
#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

#include "auth/registry_record.hpp"
#include "auth_fixture.hpp"
#include "base/limits.hpp"

using namespace skerry;
using auth::DeviceState;
using auth::RegistryError;
using test::error_of;
using test::fingerprint;
using test::RegistryFixture;

TEST_CASE("device ids follow the rule of the contracts") {
  for (const char* id : {"a", "Pump-7", "0", "a.b_c~d-e", "subway", "Sub"}) {
    CAPTURE(id);
    CHECK(auth::is_valid_device_id(id));
  }
  CHECK(auth::is_valid_device_id(std::string(64, 'a')));
  for (const char* id : {"", "sub", "pub", "health", "-a", ".a", "~a", "_a", "a/b", "a+", "a#",
                         "$a", "a b", "p\xC3\xBCmp", "a\n"}) {
    CAPTURE(id);
    CHECK_FALSE(auth::is_valid_device_id(id));
  }
  CHECK_FALSE(auth::is_valid_device_id(std::string(65, 'a')));
  CHECK_FALSE(auth::is_valid_device_id(std::string_view("a\0b", 3)));
  CHECK_FALSE(auth::is_valid_device_id(std::string(65536, 'a')));
}

TEST_CASE("a created device is found by id and key, and by nothing else") {
  RegistryFixture fixture;
  const auto created = fixture.create("d1", {fingerprint(1), fingerprint(2)});
  REQUIRE(created.has_value());
  CHECK((*created)->state == DeviceState::preauthorised);
  CHECK((*created)->revision == 1);
  CHECK((*created)->keys.size() == 2);
  CHECK(fixture.registry->find("d1") == *created);
  CHECK(fixture.registry->find_by_fingerprint(fingerprint(2)) == *created);
  CHECK_FALSE(fixture.registry->find("d2"));
  CHECK_FALSE(fixture.registry->find_by_fingerprint(fingerprint(3)));
}

TEST_CASE("ids and fingerprints that break the rules are refused") {
  RegistryFixture fixture;
  CHECK(error_of(fixture.create("sub", {fingerprint(1)})) == RegistryError::invalid_id);
  CHECK(error_of(fixture.create("d", std::vector<std::string>{"abc"})) ==
        RegistryError::invalid_fingerprint);
  CHECK(error_of(fixture.create("d", {std::string(64, 'A')})) ==
        RegistryError::invalid_fingerprint);
  CHECK(error_of(fixture.create("d", {fingerprint(1), fingerprint(1)})) ==
        RegistryError::invalid_fingerprint);
  CHECK(error_of(fixture.create("d", std::vector<std::string>(9, fingerprint(1)))) ==
        RegistryError::invalid_fingerprint);
  CHECK(fixture.registry->size() == 0);
}

TEST_CASE("an id is taken once and a key belongs to one device") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("d1", {fingerprint(1)}).has_value());
  CHECK(error_of(fixture.create("d1", {fingerprint(2)})) == RegistryError::exists);
  CHECK(error_of(fixture.create("d2", {fingerprint(2), fingerprint(1)})) ==
        RegistryError::key_taken);
  CHECK(fixture.create("d2", {fingerprint(2)}).has_value());
}

TEST_CASE("of many creations of one device at the same time exactly one wins") {
  RegistryFixture fixture;
  std::atomic<int> wins{0};
  std::vector<std::thread> threads;
  for (unsigned number = 0; number < 8; ++number) {
    threads.emplace_back(
        [&, number] { wins += fixture.create("d1", {fingerprint(number)}).has_value() ? 1 : 0; });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(wins == 1);
  CHECK(fixture.registry->size() == 1);
}

TEST_CASE("a creation that could not be stored leaves no trace and can be repeated") {
  RegistryFixture fixture;
  fixture.store->set_capacity(1);
  CHECK(error_of(fixture.create("d1", {fingerprint(1)})) == RegistryError::storage);
  CHECK_FALSE(fixture.registry->find("d1"));
  CHECK_FALSE(fixture.registry->find_by_fingerprint(fingerprint(1)));
  fixture.store->heal();
  auth::RegistryOutcome again = fixture.create("d1", {fingerprint(1)});
  while (!again && error_of(again) == RegistryError::storage) {
    again = fixture.create("d1", {fingerprint(1)});  // until the committer has recovered
  }
  CHECK(again.has_value());
}

TEST_CASE("a list is sorted, starts behind its cursor and says whether there is more") {
  RegistryFixture fixture;
  for (unsigned number = 0; number < 25; ++number) {
    const std::string id = "d" + std::to_string(100 + (number * 7) % 25);
    REQUIRE(fixture.create(id, {fingerprint(number)}).has_value());
  }
  std::vector<std::string> seen;
  std::string after;
  for (bool more = true; more;) {
    const auth::DevicePage page = fixture.registry->list(after, 10);
    for (const auto& device : page.devices) {
      seen.push_back(device->id);
    }
    more = page.more;
    after = seen.back();
  }
  CHECK(seen.size() == 25);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(fixture.registry->list("d124", 10).devices.empty());
  CHECK(fixture.registry->list("", 0).devices.size() == 1);
}

TEST_CASE("a recorded certificate enrols the device and raises its revision") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("d1", {fingerprint(1)}).has_value());
  const auto recorded = fixture.record("d1", fingerprint(1), "aa");
  REQUIRE(recorded.has_value());
  CHECK((*recorded)->state == DeviceState::enrolled);
  CHECK((*recorded)->revision == 2);
  CHECK((*recorded)->key(fingerprint(1))->certificates.front().serial == "aa");
  CHECK(error_of(fixture.record("d1", fingerprint(2), "bb")) == RegistryError::key_not_found);
  CHECK(error_of(fixture.record("d2", fingerprint(1), "bb")) == RegistryError::not_found);
}

TEST_CASE("two certificates recorded at the same time are both kept") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("d1", {fingerprint(1)}).has_value());
  std::thread other{[&] { CHECK(fixture.record("d1", fingerprint(1), "aa").has_value()); }};
  CHECK(fixture.record("d1", fingerprint(1), "bb").has_value());
  other.join();
  CHECK(fixture.registry->find("d1")->revision == 3);
  CHECK(fixture.registry->find("d1")->keys[0].certificates.size() == 2);
  fixture.restart();
  CHECK(fixture.registry->find("d1")->keys[0].certificates.size() == 2);
}

TEST_CASE("a key keeps at most its cap of certificates, and none that has expired") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("d1", {fingerprint(1)}).has_value());
  REQUIRE(fixture.record("d1", fingerprint(1), "old", test::start_of_test).has_value());
  for (std::size_t number = 0; number < certificates_per_key_max + 3; ++number) {
    REQUIRE(fixture.record("d1", fingerprint(1), "s" + std::to_string(number)).has_value());
  }
  const auto& certificates = fixture.registry->find("d1")->keys[0].certificates;
  CHECK(certificates.size() == certificates_per_key_max);
  CHECK(certificates.front().serial == "s3");
}

TEST_CASE("an erased device is gone at once, its serials stay revoked, also after a restart") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("d1", {fingerprint(1)}).has_value());
  REQUIRE(fixture.record("d1", fingerprint(1), "aa").has_value());
  REQUIRE(fixture.record("d1", fingerprint(1), "bb").has_value());
  std::promise<void> durable;
  fixture.registry->erase("d1", RegistryFixture::change(),
                          [&](auth::RegistryOutcome) { durable.set_value(); });
  CHECK_FALSE(fixture.registry->find("d1"));
  CHECK_FALSE(fixture.registry->find_by_fingerprint(fingerprint(1)));
  CHECK(fixture.registry->is_revoked("aa"));
  durable.get_future().wait();
  const auto loaded = fixture.restart();
  CHECK(loaded.devices == 0);
  CHECK(loaded.damaged == 0);
  CHECK(fixture.registry->is_revoked("aa"));
  CHECK(fixture.registry->is_revoked("bb"));
  CHECK_FALSE(fixture.registry->is_revoked("cc"));
  CHECK(fixture.create("d1", {fingerprint(1)}).has_value());
  CHECK(fixture.registry->is_revoked("aa"));
}

TEST_CASE("erasing wants the revision that was seen") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("d1", {fingerprint(1)}).has_value());
  auth::ChangeRequest change = RegistryFixture::change();
  change.expected = {test::start_of_test, 2};
  CHECK(error_of(fixture.erase("d1", change)) == RegistryError::revision_mismatch);
  change.expected = {test::start_of_test - std::chrono::hours{1}, 1};  // an earlier "d1"
  CHECK(error_of(fixture.erase("d1", change)) == RegistryError::revision_mismatch);
  CHECK(fixture.registry->find("d1"));
  change.expected = {test::start_of_test, 1};
  CHECK(fixture.erase("d1", change).has_value());
  CHECK(error_of(fixture.erase("d1")) == RegistryError::not_found);
}

TEST_CASE("when erasing cannot be stored the device stays locked out and it can be tried again") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("d1", {fingerprint(1)}).has_value());
  REQUIRE(fixture.record("d1", fingerprint(1), "aa").has_value());
  fixture.store->fail_write(1, storage::StatusCode::full);
  CHECK(error_of(fixture.erase("d1")) == RegistryError::storage);
  CHECK_FALSE(fixture.registry->find("d1"));
  CHECK(error_of(fixture.create("d1", {fingerprint(2)})) == RegistryError::exists);
  CHECK(error_of(fixture.create("d2", {fingerprint(1)})) == RegistryError::key_taken);
  fixture.store->heal();
  auth::RegistryOutcome again = fixture.erase("d1");
  while (!again && error_of(again) == RegistryError::storage) {
    again = fixture.erase("d1");
  }
  CHECK(again.has_value());
  CHECK(fixture.create("d1", {fingerprint(1)}).has_value());
}

TEST_CASE("a certificate under way when its device is erased is not handed out and is revoked") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("d1", {fingerprint(1)}).has_value());
  // Both are submitted before the committer can finish the first in most runs; either order must
  // leave nothing that is good.
  std::promise<bool> recorded;
  fixture.registry->record_certificate(
      "d1", {fingerprint(1), {"aa", test::start_of_test + std::chrono::hours{1}}},
      RegistryFixture::change(),
      [&](auth::RegistryOutcome outcome) { recorded.set_value(outcome.has_value()); });
  CHECK(fixture.erase("d1").has_value());
  recorded.get_future().wait();
  CHECK(fixture.registry->is_revoked("aa"));
  fixture.restart();
  CHECK_FALSE(fixture.registry->find("d1"));
  CHECK(fixture.registry->is_revoked("aa"));
}

TEST_CASE("hooks hear of creation, change, and twice of an end") {
  RegistryFixture fixture;
  std::mutex mutex;
  std::vector<auth::DeviceRegistry::Change> heard;
  fixture.registry->on_change([&](const auth::Device& device, auth::DeviceRegistry::Change change) {
    const std::lock_guard lock{mutex};
    CHECK(device.id == "d1");
    heard.push_back(change);
  });
  REQUIRE(fixture.create("d1", {fingerprint(1)}).has_value());
  REQUIRE(fixture.record("d1", fingerprint(1), "aa").has_value());
  REQUIRE(fixture.erase("d1").has_value());
  fixture.committer.reset();  // drained: nobody calls hooks any more
  using Change = auth::DeviceRegistry::Change;
  CHECK(heard == std::vector{Change::created, Change::updated, Change::erased, Change::erased});
}

TEST_CASE("everything survives a restart") {
  RegistryFixture fixture;
  for (unsigned number = 0; number < 100; ++number) {
    const std::string id = "d" + std::to_string(number);
    REQUIRE(fixture.create(id, {fingerprint(number)}).has_value());
    if (number % 2 == 0) {
      REQUIRE(fixture.record(id, fingerprint(number), "5e" + id).has_value());
    }
  }
  const auto before = fixture.registry->find("d42");
  const auto loaded = fixture.restart();
  CHECK(loaded.status.ok());
  CHECK(loaded.devices == 100);
  const auto after = fixture.registry->find("d42");
  REQUIRE(after);
  CHECK(after->state == DeviceState::enrolled);
  CHECK(after->created == before->created);
  CHECK(after->changed == before->changed);
  CHECK(after->revision == before->revision);
  CHECK(after->keys[0].certificates[0].serial == "5ed42");
  CHECK(after->keys[0].certificates[0].not_after == before->keys[0].certificates[0].not_after);
  CHECK(fixture.registry->find_by_fingerprint(fingerprint(7))->id == "d7");
  CHECK(fixture.registry->find("d7")->state == DeviceState::preauthorised);
}

TEST_CASE("a record cut at any byte is damaged, and its device locked out") {
  auth::Device device;
  device.id = "d1";
  device.keys.push_back({fingerprint(1), {}, {{"aa", {}}}});
  const std::string record = auth::encode_device(device);
  CHECK(auth::decode_device("d1", record).has_value());
  for (std::size_t size = 0; size < record.size(); ++size) {
    CHECK_FALSE(auth::decode_device("d1", record.substr(0, size)).has_value());
  }
  CHECK_FALSE(auth::decode_device("d1", record + "x").has_value());
  CHECK_FALSE(auth::decode_device("a/b", record).has_value());
  RegistryFixture fixture;
  storage::Batch batch;
  batch.put(storage::Family::registry, "d/d1", record.substr(0, 20));
  batch.put(storage::Family::registry, "r/aa", "x");
  batch.put(storage::Family::registry, "?", "x");
  REQUIRE(fixture.store->write(batch, true).ok());
  const auto loaded = fixture.restart();
  CHECK(loaded.damaged == 3);
  CHECK(loaded.devices == 0);
  CHECK(fixture.registry->is_revoked("aa"));
}
