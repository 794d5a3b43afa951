// The audit: one chain in the order of the disk, whatever fails meanwhile, and what a tampered
// store looks like to verification.
#include "auth/audit.hpp"

#include <doctest/doctest.h>

#include <future>
#include <thread>

#include "auth/audit_reader.hpp"
#include "unit/auth/auth_fixture.hpp"

using namespace skerry;
using namespace skerry::auth;
using namespace skerry::test;
using storage::Family;
using storage::StatusCode;

namespace {

struct AuditFixture {
  std::unique_ptr<storage::MemoryStore> store = storage::MemoryStore::create();
  std::unique_ptr<storage::Committer> committer;
  std::unique_ptr<Audit> audit;
  SteadyTime steady{};
  WallTime wall = start_of_test;

  AuditFixture() { restart(); }
  ~AuditFixture() { committer.reset(); }

  Audit::Loaded restart() {
    committer.reset();
    storage::CommitterOptions options;
    options.retry_first = options.retry_longest = std::chrono::milliseconds{1};
    committer = std::make_unique<storage::Committer>(*store, options);
    audit = std::make_unique<Audit>(*committer, *store, [this] { return Now{steady, wall}; });
    return audit->load();
  }

  std::future<StatusCode> submit(const std::string& object, const std::string& key = "") const {
    storage::Batch batch;
    if (!key.empty()) {
      batch.put(Family::registry, key, "changed");
    }
    auto promise = std::make_shared<std::promise<StatusCode>>();
    auto future = promise->get_future();
    audit->submit(std::move(batch), {"user:admin", "device.suspend", object, "ok", "", "192.0.2.1"},
                  [promise](const storage::Status& status) { promise->set_value(status.code); });
    return future;
  }

  void add(int count) const {
    for (int index = 0; index < count; ++index) {
      CHECK(submit("device:" + std::to_string(index)).get() == StatusCode::ok);
    }
  }

  void drain() const { CHECK(committer->write_and_wait({}).ok()); }

  AuditVerifier::Finding verify(std::size_t slice = 3) const {
    AuditVerifier verifier{*store, audit->head()};
    while (verifier.step(slice)) {
    }
    CHECK(verifier.finding().status.ok());
    return verifier.finding();
  }

  AuditPage page(const AuditFilter& filter = {}, std::size_t limit = 1000) const {
    return read_audit_page(*store, filter, std::nullopt, false, limit);
  }

  /// Writes past the server, as somebody with the disk in his hands would.
  void tamper(const storage::Batch& batch) const { CHECK(store->write(batch, true).ok()); }
  std::string raw(std::uint64_t sequence) const {
    std::string value;
    CHECK(store->get(Family::admin, audit_key(sequence), value).ok());
    return value;
  }
  bool has(std::string_view key) const {
    std::string value;
    return store->get(Family::registry, key, value).ok();
  }

  std::uint64_t prune(WallTime before, std::size_t most = 1000) const {
    std::promise<std::uint64_t> dropped;
    audit->prune(before, most, [&](std::uint64_t count) { dropped.set_value(count); });
    return dropped.get_future().get();
  }
};

}  // namespace

TEST_CASE("records are numbered and linked in the order in which they are stored") {
  AuditFixture fixture;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&fixture] { fixture.add(50); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  const auto found = fixture.verify(7);
  CHECK(found.ok);
  CHECK(found.first == 1);
  CHECK(found.checked == 200);
  CHECK(found.end.sequence == 200);
  CHECK(found.end.hash == fixture.audit->head().hash);
  const auto page = fixture.page();
  REQUIRE(page.records.size() == 200);
  CHECK(page.records[0].record.event.actor == "user:admin");
  CHECK(page.records[0].record.time == start_of_test);
  CHECK(page.records[199].record.sequence == 200);
}

TEST_CASE("an empty chain is sound") {
  AuditFixture fixture;
  const auto found = fixture.verify();
  CHECK(found.ok);
  CHECK(found.first == 0);
  CHECK(found.checked == 0);
}

TEST_CASE("a change that could not be stored leaves no record, and the chain goes on") {
  AuditFixture fixture;
  fixture.add(3);
  fixture.store->fail_write(1, StatusCode::io_error);
  CHECK(fixture.submit("device:lost", "lost").get() == StatusCode::io_error);
  CHECK(fixture.submit("device:lost", "lost too").get() != StatusCode::ok);
  CHECK(fixture.audit->head().sequence == 3);
  fixture.store->heal();
  while (!fixture.committer->healthy()) {
    std::this_thread::yield();
  }
  CHECK(fixture.submit("device:kept", "kept").get() == StatusCode::ok);
  CHECK_FALSE(fixture.has("lost"));
  CHECK(fixture.has("kept"));
  const auto found = fixture.verify();
  CHECK(found.ok);
  CHECK(found.end.sequence == 4);
  CHECK(fixture.page().records.back().record.event.object == "device:kept");
}

TEST_CASE("records that reached the disk in a group that failed stay a part of the chain") {
  AuditFixture fixture;
  fixture.add(2);
  // The write of the third is reported as failed although the engine keeps it: the server must
  // find it again and not link another record into its place.
  AuditHead head = fixture.audit->head();
  const std::string third = link_audit(
      {3, start_of_test, {"user:admin", "device.erase", "device:x", "ok", "", ""}}, head);
  fixture.store->fail_write(1, StatusCode::io_error);
  CHECK(fixture.submit("device:x").get() == StatusCode::io_error);
  fixture.store->heal();
  storage::Batch survived;
  survived.put(Family::admin, audit_key(3), third);
  while (!fixture.committer->healthy()) {
    std::this_thread::yield();
  }
  // Healthy again means reopened; the next record looks at the store first.
  fixture.tamper(survived);
  CHECK(fixture.submit("device:y").get() == StatusCode::ok);
  const auto found = fixture.verify();
  CHECK(found.ok);
  CHECK(found.end.sequence == 4);
}

TEST_CASE("the chain goes on after a restart") {
  AuditFixture fixture;
  fixture.add(5);
  const AuditHead before = fixture.audit->head();
  CHECK_FALSE(fixture.restart().is_damaged);
  CHECK(fixture.audit->head().hash == before.hash);
  fixture.add(2);
  CHECK(fixture.verify().ok);
  CHECK(fixture.verify().end.sequence == 7);
}

TEST_CASE("what a power cut takes was never acknowledged, and the rest holds") {
  AuditFixture fixture;
  fixture.add(5);
  fixture.store->forget_unsynced();
  CHECK_FALSE(fixture.restart().is_damaged);
  fixture.add(1);
  CHECK(fixture.verify().ok);
  CHECK(fixture.verify().end.sequence == 6);
}

TEST_CASE("a record that was changed, left out, swapped or put in is found") {
  AuditFixture fixture;
  fixture.add(10);
  storage::Batch batch;
  SUBCASE("a byte of its text") {
    std::string value = fixture.raw(4);
    value[value.size() - 1] ^= 1;
    batch.put(Family::admin, audit_key(4), value);
    fixture.tamper(batch);
    CHECK(fixture.verify().broken == 4);
  }
  SUBCASE("its text with a hash that fits") {
    AuditHead head{3, fixture.raw(4).substr(1, 32)};
    const std::string value = link_audit(
        {4, start_of_test, {"user:nobody", "device.suspend", "device:3", "ok", "", ""}}, head);
    batch.put(Family::admin, audit_key(4), value);
    fixture.tamper(batch);
    CHECK(fixture.verify().broken == 5);  // the next one is linked to another
  }
  SUBCASE("left out in the middle") {
    batch.erase(Family::admin, audit_key(6));
    fixture.tamper(batch);
    CHECK(fixture.verify().broken == 6);
  }
  SUBCASE("left out at the start") {
    batch.erase(Family::admin, audit_key(1));
    fixture.tamper(batch);
    CHECK(fixture.verify().broken == 1);
  }
  SUBCASE("left out at the end, under the running server") {
    batch.erase(Family::admin, audit_key(10));
    fixture.tamper(batch);
    CHECK(fixture.verify().broken == 10);
  }
  SUBCASE("swapped") {
    const std::string second = fixture.raw(2);
    batch.put(Family::admin, audit_key(2), fixture.raw(3));
    batch.put(Family::admin, audit_key(3), second);
    fixture.tamper(batch);
    CHECK(fixture.verify().broken == 2);
  }
  SUBCASE("put in") {
    batch.put(Family::admin, std::string{audit_prefix} + "x", "anything");
    fixture.tamper(batch);
    CHECK_FALSE(fixture.verify().ok);
  }
  SUBCASE("all of them rewritten, under the running server") {
    AuditHead head;
    for (std::uint64_t sequence = 1; sequence <= 10; ++sequence) {
      batch.put(
          Family::admin, audit_key(sequence),
          link_audit({sequence, start_of_test, {"user:other", "x", "y", "ok", "", ""}}, head));
    }
    fixture.tamper(batch);
    CHECK(fixture.verify().broken == 10);
  }
  SUBCASE("the last one damaged: the server starts, says so, and goes on behind it") {
    batch.put(Family::admin, audit_key(10), "rubbish");
    fixture.tamper(batch);
    CHECK(fixture.restart().is_damaged);
    fixture.add(1);
    CHECK(fixture.verify().broken == 10);
    CHECK(fixture.audit->head().sequence == 11);
  }
  CHECK_FALSE(fixture.verify().ok);
}

TEST_CASE("old records are dropped by age, and what remains can still be verified") {
  AuditFixture fixture;
  fixture.add(6);
  fixture.wall += std::chrono::hours{1};
  fixture.add(4);
  CHECK(fixture.prune(start_of_test) == 0);
  CHECK(fixture.prune(start_of_test + std::chrono::minutes{1}, 4) == 4);
  CHECK(fixture.prune(start_of_test + std::chrono::minutes{1}) == 2);
  auto found = fixture.verify();
  CHECK(found.ok);
  CHECK(found.first == 7);
  CHECK(found.end.sequence == 12);
  CHECK(fixture.page({std::nullopt, std::nullopt, "", "audit.prune", ""}).records.size() == 2);
  CHECK_FALSE(fixture.restart().is_damaged);
  fixture.add(1);
  CHECK(fixture.verify().ok);
  SUBCASE("never the last one") {
    fixture.wall += std::chrono::hours{1};
    CHECK(fixture.prune(fixture.wall + std::chrono::hours{1}) == 6);
    CHECK(fixture.verify().ok);
    CHECK(fixture.page().records.size() == 2);
  }
  SUBCASE("more than the anchor says is found") {
    storage::Batch batch;
    batch.erase(Family::admin, audit_key(7));
    fixture.tamper(batch);
    CHECK(fixture.verify().broken == 7);
  }
  SUBCASE("pruning under a walk is no breach") {
    AuditVerifier verifier{*fixture.store, fixture.audit->head()};
    CHECK(verifier.step(1));
    fixture.wall += std::chrono::hours{1};
    fixture.add(1);
    CHECK(fixture.prune(fixture.wall) > 0);
    while (verifier.step(2)) {
    }
    CHECK(verifier.finding().ok);
    CHECK(verifier.finding().first == 14);
  }
}

TEST_CASE("pages go both ways and by filter") {
  AuditFixture fixture;
  fixture.add(9);
  const auto first = read_audit_page(*fixture.store, {}, std::nullopt, true, 4);
  REQUIRE(first.records.size() == 4);
  CHECK(first.records[0].record.sequence == 9);
  REQUIRE(first.next == 5);
  CHECK(read_audit_page(*fixture.store, {}, first.next, true, 100).records.size() == 5);
  AuditFilter filter;
  filter.object = "device:3";
  CHECK(fixture.page(filter).records.size() == 1);
  filter.object = "device:*";
  filter.actor = "user:admin";
  filter.from = start_of_test;
  CHECK(fixture.page(filter).records.size() == 9);
  filter.to = start_of_test;
  CHECK(fixture.page(filter).records.empty());
}

TEST_CASE("a flood of refusals costs two records a window") {
  AuditFixture fixture;
  const plugin::Refusal refusal{"device:pump-7", "publish",          "devices/other/telemetry",
                                "denied",        "topics of others", ""};
  for (int count = 0; count < 4313; ++count) {
    fixture.audit->refused(refusal);
  }
  fixture.audit->sum_up();
  fixture.drain();
  CHECK(fixture.page().records.size() == 1);
  fixture.steady += audit_refusal_window;
  fixture.audit->sum_up();
  fixture.drain();
  auto page = fixture.page();
  REQUIRE(page.records.size() == 2);
  CHECK(page.records[1].record.event.detail == "topics of others; and 4,312 more in 60 s");
  CHECK(fixture.audit->statistics().summed_up == 4312);
  // A quiet window ends it: the next one is told at once.
  fixture.steady += audit_refusal_window;
  fixture.audit->sum_up();
  fixture.audit->refused(refusal);
  fixture.drain();
  CHECK(fixture.page().records.size() == 3);
  CHECK(fixture.verify().ok);
}

TEST_CASE("a flood of actors is bounded in memory, in records and still counted") {
  AuditFixture fixture;
  constexpr int actors = 10'000;
  for (int count = 0; count < actors; ++count) {
    fixture.audit->note({"address:" + std::to_string(count), "connect", "", "denied", "rule", ""});
  }
  fixture.drain();
  CHECK(fixture.page({}, 20'000).records.size() == static_cast<std::size_t>(audit_refusals_burst));
  fixture.audit->sum_up(true);
  fixture.drain();
  const auto page = fixture.page({}, 20'000);
  CHECK(page.records.size() == audit_refusals_told_apart_max + 1);
  CHECK(page.records.back().record.event.action == "audit.refusals");
  CHECK(page.records.back().record.event.detail == "5,904 refusals of further actors in 60 s");
}

TEST_CASE("texts are cut and cleaned, never refused") {
  plugin::AuditEvent event{"user:\n\x7f", "a\x80z", std::string(5000, 'x'), "ok", "", ""};
  event.detail = std::string(audit_detail_bytes_max - 1, 'd') + "\xC3\xA4";
  clean(event);
  CHECK(event.actor == "user:??");
  CHECK(event.action == "a?z");
  CHECK(event.object.size() == audit_object_bytes_max);
  CHECK(event.detail.size() == audit_detail_bytes_max - 1);
}

TEST_CASE("whatever the bytes of a record are, reading them ends") {
  AuditHead head;
  const std::string value = link_audit(
      {1, start_of_test, {"actor", "action", "object", "ok", "detail", "address"}}, head);
  CHECK(read_audit(audit_key(1), value)->is_sound);
  CHECK_FALSE(read_audit(audit_key(2), value)->is_sound);
  for (std::size_t size = 0; size < value.size(); ++size) {
    CHECK_FALSE(read_audit(audit_key(1), value.substr(0, size)));
  }
  CHECK_FALSE(read_audit(audit_key(1), value + "x"));
  CHECK_FALSE(read_anchor("rubbish"));
}
