// What is restored at start, and what is not.
#include "app/restore.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <future>

#include "crypto/random.hpp"
#include "shard/records.hpp"

using namespace skerry;
using namespace skerry::app;

namespace {

using storage::Family;

void put_session(storage::Batch& batch, std::uint64_t id, plugin::IdentityKind kind,
                 const std::string& name) {
  shard::SessionRecord record;
  record.identity.kind = kind;
  record.identity.policy = plugin::PolicyKind::open;
  record.identity.name = name;
  record.client_id = "c";
  record.expiry_seconds = 3600;
  record.disconnected_at = read_clocks().wall;
  const DurableId durable{id};
  batch.put(Family::sessions, shard::durable_key(durable), shard::encode_session(record));
  batch.put(Family::subscriptions, shard::subscription_key(durable, "a/b"),
            shard::encode_subscription({.filter = "a/b"}));
  batch.put(Family::inflight, shard::inbound_key(durable, mqtt::PacketId{7}), "\x01");
}

std::uint64_t count(const storage::KvStore& store, Family family) {
  std::uint64_t records = 0;
  const auto iterator = store.scan(family, {});
  for (iterator->seek_first(); iterator->valid(); iterator->next()) {
    ++records;
  }
  return records;
}

std::vector<std::string> owners(net::Server& server) {
  std::promise<std::vector<plugin::ClientInfo>> answer;
  server.list_clients({.limit = 10}, [&](std::vector<plugin::ClientInfo> clients) {
    answer.set_value(std::move(clients));
  });
  std::vector<std::string> found;
  for (const plugin::ClientInfo& client : answer.get_future().get()) {
    found.push_back(client.owner);
  }
  return found;
}

}  // namespace

TEST_CASE("sessions of devices that are not registered are not restored, and their records go") {
  const auto store = storage::MemoryStore::create();
  {
    storage::Batch batch;
    put_session(batch, 11, plugin::IdentityKind::device, "known");
    put_session(batch, 12, plugin::IdentityKind::device, "gone");
    put_session(batch, 13, plugin::IdentityKind::anonymous, "gone");
    REQUIRE(store->write(batch, true).ok());
  }
  Log log({.level = LogLevel::error});
  auto committer = std::make_unique<storage::Committer>(*store, storage::CommitterOptions{});
  net::ServerOptions options;
  options.core_count = 2;
  options.committer = committer.get();
  storage::ReaderPool readers(1);
  options.store = store.get();
  options.readers = &readers;
  options.random = crypto::random_bytes;
  options.log = [](int, std::string_view, std::string_view, std::string_view) {};
  net::Server server(std::move(options));
  const auto is_registered = [](std::string_view device) { return device == "known"; };
  const Restored restored =
      restore_sessions(*store, *committer, is_registered, server, log, read_clocks());
  CHECK(restored.records == 9);
  CHECK(restored.orphaned == 1);
  CHECK(restored.damaged == 0);
  server.start();
  CHECK(owners(server) == std::vector<std::string>{"device:known", "domain:gone"});
  server.stop();
  committer.reset();
  CHECK(count(*store, Family::sessions) == 2);
  CHECK(count(*store, Family::subscriptions) == 2);
  CHECK(count(*store, Family::inflight) == 2);
}

TEST_CASE("records that cannot be read are shown before the start goes on") {
  const auto store = storage::MemoryStore::create();
  storage::Batch batch;
  put_session(batch, 11, plugin::IdentityKind::anonymous, "whole");
  batch.put(Family::sessions, shard::durable_key(DurableId{12}), "\x7f");
  batch.put(Family::messages, shard::message_key(MessageId{13}), "");
  batch.put(Family::retained, "t", "\x01");
  REQUIRE(store->write(batch, true).ok());
  Log log({.level = LogLevel::error});
  storage::Committer committer(*store, {});
  net::ServerOptions options;
  options.committer = &committer;
  storage::ReaderPool readers(1);
  options.store = store.get();
  options.readers = &readers;
  options.random = crypto::random_bytes;
  net::Server server(std::move(options));
  std::vector<Family> shown;
  const Restored restored = restore_sessions(
      *store, committer, [](std::string_view) { return true; }, server, log, read_clocks(),
      [&](Family family, std::string_view, std::string_view) { shown.push_back(family); });
  CHECK(restored.damaged == 3);
  CHECK(shown == std::vector<Family>{Family::sessions, Family::messages, Family::retained});
}
