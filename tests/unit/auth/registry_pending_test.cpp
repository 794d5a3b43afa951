// Approval mode, who is told of what, and what a failure or a crash in the middle leaves behind.
#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

#include "base/limits.hpp"
#include "registry_steps.hpp"

using namespace skerry;
using auth::DeviceRegistry;
using auth::DeviceState;
using auth::RegistryError;
using auth::RevocationReason;
using namespace skerry::test;

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

TEST_CASE("the addresses of one IPv6 network count as one") {
  RegistryFixture fixture;
  for (unsigned key = 1; key <= pending_per_address_max; ++key) {
    REQUIRE(ask(fixture, key, "n" + std::to_string(key), "2001:db8::" + std::to_string(key))
                .has_value());
  }
  CHECK(error_of(ask(fixture, 9'999, "late", "2001:db8::9999")) == RegistryError::limit);
  CHECK(ask(fixture, 9'999, "late", "2001:db8:0:1::1").has_value());
  fixture.restart();
  CHECK(error_of(ask(fixture, 9'998, "later", "2001:db8::9998")) == RegistryError::limit);
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

TEST_CASE("who has waited too long waits on when his removal could not be stored") {
  RegistryFixture fixture;
  REQUIRE(ask(fixture, 1, "sensor").has_value());
  const auto week = std::chrono::duration_cast<Milliseconds>(pending_life);
  unsigned other = 1;
  const auto expire = [&] {
    fixture.registry->expire_pending(start_of_test + week);
    // Stored behind the removal, so that its end has come as well.
    ++other;
    static_cast<void>(fixture.create("other-" + std::to_string(other), {fingerprint(other)}));
  };
  fixture.store->fail_write(1, storage::StatusCode::io_error);
  expire();
  CHECK(fixture.registry->find("sensor") != nullptr);
  CHECK(fixture.registry->pending_count() == 1);
  fixture.store->heal();
  while (fixture.registry->find("sensor")) {
    expire();
  }
  CHECK(fixture.registry->pending_count() == 0);
  // The key is free again.
  CHECK(insist([&] { return ask(fixture, 1, "again", "192.0.2.1", week); }).has_value());
  CHECK(fixture.restart().damaged == 0);
  CHECK(fixture.registry->pending_count() == 1);
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
