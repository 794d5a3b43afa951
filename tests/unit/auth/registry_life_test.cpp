// The life of a device in the registry: states, details, keys, certificates, and what a failure or
// a crash in the middle leaves behind.
#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

#include "auth/registry_record.hpp"
#include "auth_fixture.hpp"
#include "base/limits.hpp"

using namespace skerry;
using auth::DeviceRegistry;
using auth::DeviceState;
using auth::RegistryError;
using auth::RevocationReason;
using test::error_of;
using test::fingerprint;
using test::RegistryFixture;
using test::start_of_test;

namespace {

using Step = std::function<auth::RegistryOutcome(RegistryFixture&, const std::string&)>;

Step transition(void (DeviceRegistry::*way)(std::string_view, auth::ChangeRequest,
                                            DeviceRegistry::Done)) {
  return [way](RegistryFixture& fixture, const std::string& id) {
    return RegistryFixture::wait(
        [&](auto done) { ((*fixture.registry).*way)(id, RegistryFixture::change(), done); });
  };
}

const Step suspend = transition(&DeviceRegistry::suspend);
const Step resume = transition(&DeviceRegistry::resume);
const Step retire = transition(&DeviceRegistry::retire);

auth::RegistryOutcome update(RegistryFixture& fixture, const std::string& id,
                             const auth::DevicePatch& patch,
                             auth::ChangeRequest change = RegistryFixture::change()) {
  return RegistryFixture::wait(
      [&](auto done) { fixture.registry->update(id, patch, change, done); });
}

auth::RegistryOutcome add_key(RegistryFixture& fixture, const std::string& id,
                              const auth::KeyWish& key, Milliseconds later = {}) {
  return RegistryFixture::wait(
      [&](auto done) { fixture.registry->add_key(id, key, RegistryFixture::change(later), done); });
}

auth::RegistryOutcome remove_key(RegistryFixture& fixture, const std::string& id,
                                 const std::string& key) {
  return RegistryFixture::wait([&](auto done) {
    fixture.registry->remove_key(id, key, RevocationReason::superseded, RegistryFixture::change(),
                                 done);
  });
}

auth::RegistryOutcome revoke(RegistryFixture& fixture, const std::string& serial,
                             RevocationReason reason = RevocationReason::unspecified) {
  return RegistryFixture::wait([&](auto done) {
    fixture.registry->revoke_certificate(serial, reason, RegistryFixture::change(), done);
  });
}

auth::RegistryOutcome ask(RegistryFixture& fixture, unsigned key, const std::string& id,
                          const std::string& address = "192.0.2.1", Milliseconds later = {}) {
  return RegistryFixture::wait([&](auto done) {
    fixture.registry->request_approval({fingerprint(key), id, "CN=" + id, "EC P-256", address},
                                       start_of_test + later, done);
  });
}

auth::RegistryOutcome approve(RegistryFixture& fixture, const std::string& id, unsigned key,
                              const std::string& new_id = {}) {
  return RegistryFixture::wait([&](auto done) {
    fixture.registry->approve(id, {fingerprint(key), new_id, {}}, RegistryFixture::change(), done);
  });
}

/// A device "d" with key 1 in this state.
void make(RegistryFixture& fixture, DeviceState state) {
  if (state == DeviceState::pending) {
    REQUIRE(ask(fixture, 1, "d").has_value());
    return;
  }
  REQUIRE(fixture.create("d", {fingerprint(1)}).has_value());
  if (state == DeviceState::enrolled) {
    REQUIRE(fixture.record("d", fingerprint(1), "aa").has_value());
  } else if (state == DeviceState::suspended) {
    REQUIRE(suspend(fixture, "d").has_value());
  } else if (state == DeviceState::retired) {
    REQUIRE(retire(fixture, "d").has_value());
  }
}

/// Repeats until the committer has recovered from a failure.
template <typename Try>
auth::RegistryOutcome insist(Try again) {
  auth::RegistryOutcome outcome = again();
  while (!outcome && error_of(outcome) == RegistryError::storage) {
    outcome = again();
  }
  return outcome;
}

}  // namespace

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

TEST_CASE("an unknown key waits once, under the id it proposes or one of its own") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("taken", {fingerprint(50)}).has_value());
  CHECK((*ask(fixture, 1, "sensor"))->id == "sensor");
  CHECK((*ask(fixture, 1, "sensor"))->id == "sensor");
  CHECK((*ask(fixture, 1, "other"))->id == "sensor");
  CHECK((*ask(fixture, 2, "taken"))->id == "device-0000000000000000");
  CHECK((*ask(fixture, 3, "a/b"))->id == fingerprint(3));  // the short one is taken by now
  CHECK(fixture.registry->pending_count() == 3);
  CHECK(error_of(ask(fixture, 50, "x")) == RegistryError::exists);
  fixture.restart();
  CHECK(fixture.registry->pending_count() == 3);
  const auto device = fixture.registry->find("sensor");
  CHECK(device->state == DeviceState::pending);
  CHECK(device->request->subject == "CN=sensor");
  CHECK(device->request->time == start_of_test);
}

TEST_CASE("who waits is bounded by address and in all, and goes after a week") {
  RegistryFixture fixture;
  unsigned key = 0;
  for (std::size_t count = 0; count < pending_per_address_max; ++count) {
    ++key;
    REQUIRE(ask(fixture, key, "n" + std::to_string(key)).has_value());
  }
  CHECK(error_of(ask(fixture, 9'999, "late")) == RegistryError::limit);
  CHECK(fixture.registry->approvals_refused() == 1);
  while (fixture.registry->pending_count() < pending_devices_max) {
    ++key;
    REQUIRE(ask(fixture, key, "n" + std::to_string(key), "a" + std::to_string(key)).has_value());
  }
  CHECK(error_of(ask(fixture, 9'999, "late", "somebody")) == RegistryError::limit);
  CHECK(fixture.registry->approvals_refused() == 2);
  // One that is known already is not refused.
  CHECK(ask(fixture, 1, "n1").has_value());
  const auto week = std::chrono::duration_cast<Milliseconds>(pending_life);
  CHECK(error_of(ask(fixture, 9'999, "late", "somebody", week - Milliseconds{1})) ==
        RegistryError::limit);
  CHECK(ask(fixture, 9'999, "late", "somebody", week).has_value());
  fixture.restart();
  CHECK(fixture.registry->pending_count() == 1);
  CHECK(fixture.registry->size() == 1);
}

TEST_CASE("what a stranger says of himself is made harmless") {
  RegistryFixture fixture;
  const auto outcome = RegistryFixture::wait([&](auto done) {
    fixture.registry->request_approval(
        {fingerprint(1), "\x1b[2J", "CN=\x1b[31mroot\n" + std::string(1000, 'x'), "\xFF",
         "192.0.2.1"},
        start_of_test, done);
  });
  REQUIRE(outcome.has_value());
  CHECK((*outcome)->request->subject.starts_with("CN=?[31mroot?"));
  CHECK((*outcome)->request->subject.size() == enrolment_text_bytes_max);
  CHECK((*outcome)->request->key_type == "?");
}

TEST_CASE("a rejected key stays refused, also after a restart, until it is registered or a week") {
  RegistryFixture fixture;
  REQUIRE(ask(fixture, 1, "a").has_value());
  REQUIRE(ask(fixture, 2, "b").has_value());
  for (const auto& [id, key] : {std::pair{"a", 1U}, {"b", 2U}}) {
    REQUIRE(RegistryFixture::wait([&, id = id, key = key](auto done) {
              fixture.registry->reject(id, fingerprint(key), RegistryFixture::change(), done);
            }).has_value());
  }
  CHECK(error_of(ask(fixture, 1, "a")) == RegistryError::rejected);
  fixture.restart();
  CHECK(error_of(ask(fixture, 1, "a")) == RegistryError::rejected);
  CHECK(fixture.create("a", {fingerprint(1)}).has_value());
  CHECK(ask(fixture, 2, "b", "192.0.2.1", std::chrono::duration_cast<Milliseconds>(pending_life))
            .has_value());
}

TEST_CASE("registering takes id and key from those who only wait") {
  RegistryFixture fixture;
  REQUIRE(ask(fixture, 1, "pump").has_value());
  REQUIRE(ask(fixture, 2, "valve").has_value());
  // The id of one and the key of the other.
  REQUIRE(fixture.create("pump", {fingerprint(2)}).has_value());
  CHECK(fixture.registry->find("pump")->state == DeviceState::preauthorised);
  CHECK(fixture.registry->find_by_fingerprint(fingerprint(2))->id == "pump");
  CHECK_FALSE(fixture.registry->find("valve"));
  CHECK_FALSE(fixture.registry->find_by_fingerprint(fingerprint(1)));
  CHECK(fixture.registry->pending_count() == 0);
  CHECK(ask(fixture, 1, "pump").has_value());
  CHECK(fixture.restart().devices == 2);
}

TEST_CASE("an approval that could not be stored leaves the device waiting") {
  RegistryFixture fixture;
  REQUIRE(ask(fixture, 1, "sensor").has_value());
  CHECK(error_of(approve(fixture, "sensor", 2)) == RegistryError::fingerprint_mismatch);
  fixture.store->fail_write(1, storage::StatusCode::io_error);
  CHECK(error_of(approve(fixture, "sensor", 1, "hall")) == RegistryError::storage);
  CHECK(fixture.registry->find("sensor")->state == DeviceState::pending);
  CHECK_FALSE(fixture.registry->find("hall"));
  CHECK(fixture.registry->find_by_fingerprint(fingerprint(1))->id == "sensor");
  CHECK(fixture.registry->pending_count() == 1);
  fixture.store->heal();
  REQUIRE(insist([&] { return approve(fixture, "sensor", 1, "hall"); }).has_value());
  CHECK_FALSE(fixture.registry->find("sensor"));
  CHECK(fixture.registry->pending_count() == 0);
  fixture.restart();
  CHECK(fixture.registry->find("hall")->state == DeviceState::preauthorised);
  CHECK(fixture.registry->size() == 1);
}

TEST_CASE("rights hooks hear of changes whose caller does not judge sessions himself") {
  RegistryFixture fixture;
  std::mutex mutex;
  std::vector<std::string> heard;
  fixture.registry->on_rights_change([&](const std::string& id) {
    const std::lock_guard lock{mutex};
    heard.push_back(id);
  });
  REQUIRE(fixture.create("a", {fingerprint(1)}).has_value());
  CHECK(heard.empty());
  REQUIRE(suspend(fixture, "a").has_value());
  CHECK(heard.size() == 1);
  auth::ChangeRequest change = RegistryFixture::change();
  change.caller_judges_sessions = true;
  REQUIRE(update(fixture, "a", {.name = "x"}, change).has_value());
  REQUIRE(fixture.erase("a", change).has_value());
  CHECK(heard.size() == 1);
}

TEST_CASE("listeners are told of devices and certificates") {
  struct Sink final : plugin::EventSink {
    bool wanted(plugin::EventType) const noexcept override { return true; }
    void publish(plugin::Event event) noexcept override {
      const std::lock_guard lock{mutex};
      told.push_back(std::string{name_of(event.type)} + " " + event.device + " " + event.data);
    }
    std::mutex mutex;
    std::vector<std::string> told;
  } sink;
  RegistryFixture fixture;
  fixture.registry->tell_events(sink);
  REQUIRE(fixture.create("a", {fingerprint(1)}).has_value());
  REQUIRE(fixture.record("a", fingerprint(1), "aa").has_value());
  REQUIRE(revoke(fixture, "aa", RevocationReason::superseded).has_value());
  REQUIRE(ask(fixture, 2, "b").has_value());
  fixture.committer.reset();
  CHECK(sink.told ==
        std::vector<std::string>{
            R"(device a {"action":"device.create","state":"preauthorised","revision":1})",
            R"(device a {"action":"certificate.issue","state":"enrolled","revision":2})",
            R"(certificate a {"action":"certificate.issue","serial":"aa"})",
            R"(device a {"action":"certificate.revoke","state":"enrolled","revision":3})",
            R"(certificate a {"action":"certificate.revoke","serial":"aa","reason":"superseded"})",
            R"(enrolment b {"action":"device.request","state":"pending","revision":1})"});
}

TEST_CASE("a batch of an import that could not be stored leaves every key with its owner") {
  RegistryFixture fixture;
  REQUIRE(fixture.create("a", {fingerprint(1)}).has_value());
  const auto import = [&] {
    std::promise<std::vector<auth::ImportResult>> promise;
    std::vector<auth::ImportRow> rows(3);
    rows[0] = {"a", {.keys = std::vector<auth::KeyWish>{}}};
    rows[1] = {"b", {.keys = std::vector<auth::KeyWish>{{fingerprint(1)}}}};
    rows[2] = {"b", {.name = "x"}};
    fixture.registry->import(rows, auth::ImportConflict::update, RegistryFixture::change(),
                             [&](auto results) { promise.set_value(std::move(results)); });
    return promise.get_future().get();
  };
  fixture.store->fail_write(1, storage::StatusCode::io_error);
  for (const auth::ImportResult& result : import()) {
    CHECK(result.kind == auth::ImportResult::Kind::failed);
    CHECK(result.failure.code == RegistryError::storage);
  }
  CHECK(fixture.registry->find_by_fingerprint(fingerprint(1))->id == "a");
  CHECK_FALSE(fixture.registry->find("b"));
  CHECK(error_of(fixture.create("c", {fingerprint(1)})) == RegistryError::key_taken);
  fixture.store->heal();
  while (import().front().kind == auth::ImportResult::Kind::failed) {
  }
  CHECK(fixture.registry->find_by_fingerprint(fingerprint(1))->id == "b");
  CHECK(fixture.registry->find("b")->name == "x");
  fixture.restart();
  CHECK(fixture.registry->find_by_fingerprint(fingerprint(1))->id == "b");
}

TEST_CASE("a crash amid a hundred enrolments and revocations doubles or loses none") {
  constexpr unsigned device_count = 100;
  std::size_t confirmed = 0;
  std::size_t refused = 0;
  for (std::uint64_t cut = 1; cut < 60; cut += 3) {
    CAPTURE(cut);
    RegistryFixture fixture;
    for (unsigned number = 0; number < device_count; ++number) {
      const std::string id = "d" + std::to_string(number);
      fixture.registry->create(id, {.keys = {{{fingerprint(number)}}}}, RegistryFixture::change(),
                               [](const auth::RegistryOutcome&) {});
    }
    std::vector<char> is_stored(2 * device_count, 0);
    REQUIRE(fixture.create("last", std::vector<std::string>{}).has_value());
    for (unsigned number = 0; number < device_count; ++number) {
      REQUIRE(fixture
                  .record("d" + std::to_string(number), fingerprint(number),
                          "old" + std::to_string(number))
                  .has_value());
    }
    fixture.store->fail_write(cut, storage::StatusCode::io_error);
    std::vector<std::thread> threads;
    for (unsigned part = 0; part < 4; ++part) {
      threads.emplace_back([&, part] {
        for (unsigned number = part; number < device_count; number += 4) {
          const std::string text = std::to_string(number);
          is_stored[number] = fixture.record("d" + text, fingerprint(number), "new" + text) ? 1 : 0;
          is_stored[device_count + number] = revoke(fixture, "old" + text) ? 1 : 0;
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    fixture.committer.reset();
    fixture.store->forget_unsynced();
    fixture.store->heal();
    CHECK(fixture.restart().damaged == 0);
    CHECK(fixture.registry->size() == device_count + 1);
    for (unsigned number = 0; number < device_count; ++number) {
      CAPTURE(number);
      const std::string text = std::to_string(number);
      const auth::DevicePointer device = fixture.registry->find("d" + text);
      REQUIRE(device);
      const auto& good = device->keys[0].certificates;
      const auto count = [&](const std::string& serial) {
        return std::count_if(good.begin(), good.end(),
                             [&](const auto& each) { return each.serial == serial; });
      };
      CHECK(count("new" + text) <= 1);
      CHECK_FALSE(fixture.registry->is_revoked("new" + text));
      // Good or revoked, never both, never neither.
      CHECK(count("old" + text) + (fixture.registry->is_revoked("old" + text) ? 1 : 0) == 1);
      CHECK((!is_stored[number] || count("new" + text) == 1));
      CHECK((!is_stored[device_count + number] || fixture.registry->is_revoked("old" + text)));
      confirmed += static_cast<std::size_t>(is_stored[number] + is_stored[device_count + number]);
      refused += static_cast<std::size_t>(2 - is_stored[number] - is_stored[device_count + number]);
    }
  }
  // The cuts must have fallen into the middle.
  CHECK(confirmed > device_count);
  CHECK(refused > device_count);
}
