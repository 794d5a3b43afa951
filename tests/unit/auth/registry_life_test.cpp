// The life of a device in the registry: states, details, keys, certificates, records.
#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

#include "auth/registry_record.hpp"
#include "base/limits.hpp"
#include "registry_steps.hpp"

using namespace skerry;
using auth::DeviceRegistry;
using auth::DeviceState;
using auth::RegistryError;
using auth::RevocationReason;
using namespace skerry::test;

TEST_CASE("each way is open from the states of the table and from no other") {
  const Step details = [](RegistryFixture& fixture, const std::string& id) {
    return update(fixture, id, {.name = "x"});
  };
  const Step keys = [](RegistryFixture& fixture, const std::string& id) {
    return add_key(fixture, id, {fingerprint(9)});
  };
  const Step record = [](RegistryFixture& fixture, const std::string& id) {
    return fixture.record(id, fingerprint(1), "bb");
  };
  const Step approval = [](RegistryFixture& fixture, const std::string& id) {
    return approve(fixture, id, 1);
  };
  const Step rejection = [](RegistryFixture& fixture, const std::string& id) {
    return RegistryFixture::wait([&](auto done) {
      fixture.registry->reject(id, fingerprint(1), RegistryFixture::change(), done);
    });
  };
  const Step removal = [](RegistryFixture& fixture, const std::string& id) {
    return fixture.erase(id);
  };
  struct Row {
    DeviceState state;
    const char* ways;  // suspend resume retire details keys record approve reject erase
  };
  const Step steps[] = {suspend, resume,   retire,    details, keys,
                        record,  approval, rejection, removal};
  for (const Row& row :
       {Row{DeviceState::pending, "------yyy"}, Row{DeviceState::preauthorised, "y=yyyy--y"},
        Row{DeviceState::enrolled, "y=yyyy--y"}, Row{DeviceState::suspended, "=yyyy---y"},
        Row{DeviceState::retired, "--=y----y"}}) {
    for (std::size_t way = 0; way < std::size(steps); ++way) {
      CAPTURE(auth::name_of(row.state));
      CAPTURE(way);
      RegistryFixture fixture;
      make(fixture, row.state);
      const auto before = fixture.registry->find("d");
      const auto outcome = steps[way](fixture, "d");
      switch (row.ways[way]) {
        case 'y':
          CHECK(outcome.has_value());
          break;
        case '=':
          REQUIRE(outcome.has_value());
          CHECK(*outcome == before);
          break;
        default:
          REQUIRE(outcome.has_error());
          CHECK(error_of(outcome) == RegistryError::invalid_state);
          CHECK(fixture.registry->find("d") == before);
      }
    }
  }
}

TEST_CASE("resuming goes back to where the certificates say") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("a", {fingerprint(1)}).has_value());
  REQUIRE(suspend(fixture, "a").has_value());
  CHECK((*resume(fixture, "a"))->state == DeviceState::preauthorised);
  REQUIRE(fixture.record("a", fingerprint(1), "aa").has_value());
  REQUIRE(suspend(fixture, "a").has_value());
  fixture.restart();
  CHECK(fixture.registry->find("a")->state == DeviceState::suspended);
  CHECK((*resume(fixture, "a"))->state == DeviceState::enrolled);
}

TEST_CASE("retiring revokes all certificates and keeps the keys taken") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("a", {fingerprint(1)}).has_value());
  REQUIRE(fixture.record("a", fingerprint(1), "aa").has_value());
  REQUIRE(fixture.record("a", fingerprint(1), "bb").has_value());
  const std::uint64_t epoch = fixture.registry->revocation_epoch();
  REQUIRE(retire(fixture, "a").has_value());
  CHECK(fixture.registry->revocation_epoch() > epoch);
  fixture.restart();
  CHECK(fixture.registry->find("a")->keys[0].certificates.empty());
  CHECK(fixture.registry->revocation("bb")->reason == RevocationReason::cessation_of_operation);
  CHECK(fixture.registry->revocation("bb")->device == "a");
  CHECK(fixture.registry->revocation("bb")->revoked == start_of_test);
  CHECK(error_of(fixture.create("b", {fingerprint(1)})) == RegistryError::key_taken);
  CHECK(fixture.registry->revocations_of("a").size() == 2);
  CHECK(fixture.registry->revocations(start_of_test).size() == 2);
  CHECK(fixture.registry->revocations(start_of_test + std::chrono::hours{1}).empty());
}

TEST_CASE("of changes against the same version exactly one wins") {
  RegistryFixture fixture;
  const auto device = *fixture.create("a", {fingerprint(1)});
  std::atomic<int> wins{0};
  std::vector<std::thread> threads;
  for (unsigned number = 0; number < 8; ++number) {
    threads.emplace_back([&, number] {
      auth::ChangeRequest change = RegistryFixture::change();
      change.expected = {device->created, device->revision};
      const auto outcome = update(fixture, "a", {.name = "n" + std::to_string(number)}, change);
      wins += outcome.has_value() ? 1 : 0;
      CHECK((outcome || error_of(outcome) == RegistryError::revision_mismatch));
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(wins == 1);
  CHECK(fixture.registry->find("a")->revision == 2);
}

TEST_CASE("details are kept as they were written, within their caps") {
  RegistryFixture fixture;
  auth::DevicePatch patch;
  patch.name = "Pump \xC3\xA4";
  patch.tags = {{"b", "a", "b"}};
  patch.attributes = {{"site", "north"}};
  patch.not_after = start_of_test + std::chrono::hours{5};
  REQUIRE(fixture.create("a", patch).has_value());
  fixture.restart();
  const auto device = fixture.registry->find("a");
  CHECK(device->name == "Pump \xC3\xA4");
  CHECK(device->tags == std::vector<std::string>{"a", "b"});
  CHECK(device->attributes.at("site") == "north");
  CHECK(device->not_after == start_of_test + std::chrono::hours{5});
  const auto refused = [&](auth::DevicePatch bad) {
    const auto outcome = update(fixture, "a", bad);
    return outcome.has_error() && error_of(outcome) == RegistryError::invalid_field;
  };
  CHECK(refused({.name = std::string(device_text_bytes_max + 1, 'x')}));
  CHECK(refused({.model = "a\nb"}));
  CHECK(refused({.serial_number = "\xFF"}));
  CHECK(refused({.tags = {{""}}}));
  CHECK(refused({.tags = {{" a"}}}));
  CHECK(refused({.tags = std::vector<std::string>(tags_per_device_max + 1, "x")}));
  CHECK(refused({.attributes = {{"", "x"}}}));
  CHECK(refused({.attributes = {{"x", std::string(attribute_value_bytes_max + 1, 'x')}}}));
  for (std::size_t number = 1; number < attributes_per_device_max; ++number) {
    REQUIRE(
        update(fixture, "a", {.attributes = {{"n" + std::to_string(number), "x"}}}).has_value());
  }
  CHECK(refused({.attributes = {{"one.more", "x"}}}));
  CHECK(
      update(fixture, "a", {.attributes = {{"one.more", "x"}, {"n1", std::nullopt}}}).has_value());
  CHECK(fixture.registry->find("a")->revision == 1 + attributes_per_device_max);
}

TEST_CASE("keys come and go, and a removed one takes its certificates along") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("a", {fingerprint(1)}).has_value());
  REQUIRE(fixture.create("b", {fingerprint(2)}).has_value());
  CHECK(error_of(add_key(fixture, "a", {fingerprint(2)})) == RegistryError::key_taken);
  REQUIRE(add_key(fixture, "a", {fingerprint(3)}).has_value());
  REQUIRE(fixture.record("a", fingerprint(3), "cc").has_value());
  REQUIRE(fixture.record("a", fingerprint(1), "aa").has_value());
  CHECK(error_of(remove_key(fixture, "a", fingerprint(2))) == RegistryError::key_not_found);
  REQUIRE(remove_key(fixture, "a", fingerprint(3)).has_value());
  CHECK(fixture.registry->is_revoked("cc"));
  CHECK_FALSE(fixture.registry->is_revoked("aa"));
  CHECK_FALSE(fixture.registry->find_by_fingerprint(fingerprint(3)));
  CHECK(add_key(fixture, "b", {fingerprint(3)}).has_value());
  CHECK(fixture.registry->find_by_serial("aa")->id == "a");
  CHECK_FALSE(fixture.registry->find_by_serial("cc"));
  for (unsigned number = 10; fixture.registry->find("a")->keys.size() < keys_per_device_max;
       ++number) {
    REQUIRE(add_key(fixture, "a", {fingerprint(number)}).has_value());
  }
  CHECK(error_of(add_key(fixture, "a", {fingerprint(99)})) == RegistryError::invalid_fingerprint);
  // One that has ended makes room.
  REQUIRE(add_key(fixture, "a", {fingerprint(10), start_of_test + Milliseconds{5}}).has_value());
  CHECK(add_key(fixture, "a", {fingerprint(99)}, Milliseconds{5}).has_value());
  fixture.restart();
  CHECK_FALSE(fixture.registry->find_by_fingerprint(fingerprint(10)));
  CHECK(fixture.registry->find_by_fingerprint(fingerprint(99))->id == "a");
}

TEST_CASE("a key whose removal could not be stored is still there and still taken") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("a", {fingerprint(1)}).has_value());
  REQUIRE(fixture.record("a", fingerprint(1), "aa").has_value());
  fixture.store->fail_write(1, storage::StatusCode::io_error);
  CHECK(error_of(remove_key(fixture, "a", fingerprint(1))) == RegistryError::storage);
  CHECK(fixture.registry->find_by_fingerprint(fingerprint(1))->id == "a");
  CHECK_FALSE(fixture.registry->is_revoked("aa"));
  CHECK(error_of(fixture.create("b", {fingerprint(1)})) == RegistryError::key_taken);
  fixture.store->heal();
  CHECK(insist([&] { return remove_key(fixture, "a", fingerprint(1)); }).has_value());
  CHECK(fixture.create("b", {fingerprint(1)}).has_value());
}

TEST_CASE("a rotation brings in the new key and ends the old one, in one step") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("a", {fingerprint(1)}).has_value());
  REQUIRE(fixture.record("a", fingerprint(1), "aa").has_value());
  const WallTime end = start_of_test + std::chrono::hours{24};
  const auto rotated = RegistryFixture::wait([&](auto done) {
    fixture.registry->record_certificate(
        "a", {fingerprint(2), {"bb", start_of_test + std::chrono::hours{99}}, fingerprint(1), end},
        RegistryFixture::change(), done);
  });
  REQUIRE(rotated.has_value());
  CHECK((*rotated)->key(fingerprint(1))->not_after == end);
  CHECK_FALSE((*rotated)->key(fingerprint(2))->not_after.has_value());
  CHECK((*rotated)->key(fingerprint(2))->certificates[0].serial == "bb");
  fixture.restart();
  CHECK(fixture.registry->find("a")->key(fingerprint(1))->not_after == end);
  CHECK(fixture.registry->find_by_fingerprint(fingerprint(2))->id == "a");
}

TEST_CASE("a rotation back to a key that was replaced is refused: both would end") {
  RegistryFixture fixture;
  using std::chrono::hours;
  REQUIRE(fixture.create("a", {fingerprint(1)}).has_value());
  REQUIRE(fixture.record("a", fingerprint(1), "aa").has_value());
  const auto rotate = [&](unsigned from, unsigned to, const char* serial, hours later) {
    return RegistryFixture::wait([&](auto done) {
      fixture.registry->record_certificate("a",
                                           {fingerprint(to),
                                            {serial, start_of_test + hours{99}},
                                            fingerprint(from),
                                            start_of_test + later + hours{24}},
                                           RegistryFixture::change(later), done);
    });
  };
  REQUIRE(rotate(1, 2, "bb", hours{0}).has_value());
  CHECK(error_of(rotate(2, 1, "cc", hours{1})) == RegistryError::invalid_state);
  CHECK_FALSE(fixture.registry->find("a")->key(fingerprint(2))->not_after.has_value());
  // The same step again, because its answer was lost, and one to a fresh key.
  REQUIRE(rotate(1, 2, "dd", hours{1}).has_value());
  REQUIRE(rotate(2, 3, "ee", hours{2}).has_value());
  CHECK_FALSE(fixture.registry->find("a")->key(fingerprint(3))->not_after.has_value());
}

TEST_CASE("nothing is issued behind the end of a device's or a key's right") {
  RegistryFixture fixture;
  auth::DevicePatch patch;
  patch.keys = {{{fingerprint(1)}, {fingerprint(2), start_of_test}}};
  REQUIRE(fixture.create("a", patch).has_value());
  CHECK(error_of(fixture.record("a", fingerprint(2), "bb")) == RegistryError::invalid_state);
  CHECK(fixture.record("a", fingerprint(1), "aa").has_value());
  REQUIRE(update(fixture, "a", {.not_after = std::optional{start_of_test}}).has_value());
  CHECK(error_of(fixture.record("a", fingerprint(1), "cc")) == RegistryError::invalid_state);
}

TEST_CASE("one certificate is revoked alone, a compromised key with all of its own") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("a", {fingerprint(1), fingerprint(2)}).has_value());
  for (const char* serial : {"aa", "bb", "cc"}) {
    REQUIRE(fixture.record("a", fingerprint(1), serial).has_value());
  }
  REQUIRE(fixture.record("a", fingerprint(2), "dd").has_value());
  REQUIRE(revoke(fixture, "aa", RevocationReason::affiliation_changed).has_value());
  CHECK(fixture.registry->revocation("aa")->reason == RevocationReason::affiliation_changed);
  CHECK_FALSE(fixture.registry->is_revoked("bb"));
  CHECK(error_of(revoke(fixture, "aa")) == RegistryError::certificate_not_found);
  REQUIRE(revoke(fixture, "bb", RevocationReason::key_compromise).has_value());
  CHECK(fixture.registry->revocation("cc")->reason == RevocationReason::key_compromise);
  CHECK_FALSE(fixture.registry->is_revoked("dd"));
  CHECK_FALSE(fixture.registry->find_by_fingerprint(fingerprint(1)));
  CHECK(fixture.registry->find("a")->keys.size() == 1);
}

TEST_CASE("certificates above the cap are superseded and on the list of the revoked") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("a", {fingerprint(1)}).has_value());
  for (std::size_t number = 0; number <= certificates_per_key_max; ++number) {
    REQUIRE(fixture.record("a", fingerprint(1), "s" + std::to_string(number)).has_value());
  }
  CHECK(fixture.registry->revocation("s0")->reason == RevocationReason::superseded);
  CHECK_FALSE(fixture.registry->is_revoked("s1"));
}

TEST_CASE("records of version 1 are read") {
  const auto number = [](std::uint64_t value, unsigned bytes) {
    std::string out;
    for (unsigned index = bytes; index > 0; --index) {
      out.push_back(static_cast<char>((value >> (8 * (index - 1))) & 0xFF));
    }
    return out;
  };
  const auto text = [&](const std::string& value) { return number(value.size(), 2) + value; };
  const std::string device = number(1, 1) + number(2, 1) + number(1000, 8) + number(2000, 8) +
                             number(7, 8) + number(1, 2) + text(fingerprint(1)) + number(1500, 8) +
                             number(1, 2) + text("aa") + number(4'000'000'000'000, 8);
  const std::string revoked =
      number(1, 1) + number(4'000'000'000'000, 8) + number(1700, 8) + text("gone");
  RegistryFixture fixture;
  storage::Batch batch;
  batch.put(storage::Family::registry, "d/old", device);
  batch.put(storage::Family::registry, "r/bb", revoked);
  REQUIRE(fixture.store->write(batch, true).ok());
  const auto loaded = fixture.restart();
  CHECK(loaded.damaged == 0);
  CHECK(loaded.devices == 1);
  const auto old = fixture.registry->find("old");
  CHECK(old->state == DeviceState::enrolled);
  CHECK(old->revision == 7);
  CHECK(old->keys[0].certificates[0].serial == "aa");
  CHECK(old->tags.empty());
  CHECK(fixture.registry->revocation("bb")->device == "gone");
  REQUIRE(update(fixture, "old", {.name = "new"}).has_value());
  fixture.restart();
  CHECK(fixture.registry->find("old")->name == "new");
}

TEST_CASE("a full record cut at any byte is damaged, and bytes that are turned are no crash") {
  auth::Device device;
  device.id = "d1";
  device.keys.push_back({fingerprint(1), {}, {{"aa", {}, {}}}, start_of_test});
  device.name = "n";
  device.tags = {"a", "b"};
  device.attributes = {{"x", "y"}};
  device.not_after = start_of_test;
  device.state = DeviceState::pending;
  device.request = std::make_shared<const auth::EnrolmentRequest>(
      auth::EnrolmentRequest{"CN=x", "EC P-256", "192.0.2.1", start_of_test});
  const std::string record = auth::encode_device(device);
  REQUIRE(auth::decode_device("d1", record).has_value());
  CHECK(auth::decode_device("d1", record)->request->subject == "CN=x");
  CHECK(auth::encode_device(*auth::decode_device("d1", record)) == record);
  for (std::size_t size = 0; size < record.size(); ++size) {
    CHECK_FALSE(auth::decode_device("d1", record.substr(0, size)).has_value());
  }
  for (std::size_t at = 0; at < record.size(); ++at) {
    std::string turned = record;
    turned[at] = static_cast<char>(turned[at] ^ 0xFF);
    (void)auth::decode_device("d1", turned);
  }
  CHECK_FALSE(auth::decode_device("d1", record + "x").has_value());
  for (const std::string& revocation : {auth::encode_revocation(
           {start_of_test, start_of_test, "d1", RevocationReason::superseded})}) {
    CHECK(auth::decode_revocation(revocation)->reason == RevocationReason::superseded);
    for (std::size_t size = 0; size < revocation.size(); ++size) {
      CHECK_FALSE(auth::decode_revocation(revocation.substr(0, size)).has_value());
    }
    CHECK_FALSE(
        auth::decode_revocation(revocation.substr(0, revocation.size() - 1) + '\x06').has_value());
  }
}
