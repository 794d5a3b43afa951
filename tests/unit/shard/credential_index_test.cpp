// The index by certificate and key, held against a naive one.
#include "shard/credential_index.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include "session/session.hpp"

using namespace skerry;
using shard::CredentialIndex;

namespace {

/// A host that is never asked anything.
struct NoHost final : session::Host {
  const Limits& limits() const noexcept override { return limits_; }
  Counters& counters() noexcept override { return counters_; }
  std::size_t output_bytes_max() const noexcept override { return limits_.output_bytes_max; }
  std::size_t memory_queue_bytes_max() const noexcept override { return 0; }
  session::PublishOutcome publish(session::Session&, const mqtt::Publish&, Now) override {
    return {};
  }
  session::GateId release_inbound(session::Session&, mqtt::PacketId) override { return {}; }
  void subscribe(session::Session&, const mqtt::Subscribe&, Now) override {}
  void unsubscribe(session::Session&, const mqtt::Unsubscribe&, Now) override {}
  session::GateId store_outbound(session::Session&, session::Delivery&) override { return {}; }
  session::GateId store_released(session::Session&, const session::Delivery&) override {
    return {};
  }
  void forget_outbound(session::Session&, mqtt::PacketId) override {}
  void finish(session::Session&, session::Delivery&) override {}
  void read_back(session::Session&) override {}
  void page_soon(session::Session&) override {}
  void end_connection(session::Session&, mqtt::Reason, const char*, session::CloseCause,
                      Now) override {}
  void client_disconnected(session::Session&, bool, Now) override {}

 private:
  Limits limits_;
  Counters counters_;
};

}  // namespace

TEST_CASE("the index by credentials agrees with a naive one, whatever comes and goes") {
  NoHost host;
  CredentialIndex index(HashKey{{1, 2}});
  std::mt19937_64 random(7);
  std::multimap<std::string, session::Session*> naive;
  std::vector<std::unique_ptr<session::Session>> sessions;
  for (std::uint64_t id = 1; id <= 400; ++id) {
    plugin::Identity identity;
    identity.name = "d" + std::to_string(id);
    identity.certificate_serial = std::to_string(random() % 200);  // some are shared
    identity.key_fingerprint = id % 3 == 0 ? "" : "key" + std::to_string(random() % 200);
    sessions.push_back(std::make_unique<session::Session>(
        host, id, std::make_shared<const plugin::Identity>(identity), "c"));
  }
  std::vector<bool> inside(sessions.size());
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t at = random() % sessions.size();
    session::Session& session = *sessions[at];
    const auto& identity = session.identity();
    if (inside[at]) {
      index.remove(session);
      std::erase_if(naive, [&](const auto& entry) { return entry.second == &session; });
    } else {
      index.add(session);
      for (const std::string& text : {identity.certificate_serial, identity.key_fingerprint}) {
        if (!text.empty()) {
          naive.emplace(text, &session);
        }
      }
    }
    inside[at] = !inside[at];
    REQUIRE(index.size() == naive.size());
    const std::string wanted = (step % 2 == 0 ? "" : "key") + std::to_string(random() % 200);
    const session::Session* found = index.find(wanted);
    REQUIRE((found != nullptr) == naive.contains(wanted));
    if (found != nullptr) {
      REQUIRE((found->identity().certificate_serial == wanted ||
               found->identity().key_fingerprint == wanted));
    }
  }
  for (std::size_t at = 0; at < sessions.size(); ++at) {
    index.remove(*sessions[at]);  // those that are not there, too
  }
  CHECK(index.size() == 0);
  CHECK(index.memory_bytes() <= 32 * 16);
  CHECK(index.find("1") == nullptr);
  CHECK(index.find("") == nullptr);
}

TEST_CASE("sessions of one certificate come and go as fast as others") {
  // Each step was once as long as they are many, squared: this would not end.
  constexpr std::uint64_t count = 20'000;
  NoHost host;
  CredentialIndex index(HashKey{{1, 2}});
  plugin::Identity identity;
  identity.name = "d";
  identity.certificate_serial = "shared";
  identity.key_fingerprint = "key";
  std::vector<std::unique_ptr<session::Session>> sessions;
  for (std::uint64_t id = 1; id <= count; ++id) {
    sessions.push_back(std::make_unique<session::Session>(
        host, id, std::make_shared<const plugin::Identity>(identity), "c" + std::to_string(id)));
    index.add(*sessions.back());
  }
  CHECK(index.size() == 2 * count);
  std::mt19937_64 random(7);
  std::shuffle(sessions.begin(), sessions.end(), random);
  for (const auto& session : sessions) {
    REQUIRE(index.find("shared") != nullptr);
    REQUIRE(index.find("key") != nullptr);
    index.remove(*session);
  }
  CHECK(index.size() == 0);
  CHECK(index.find("shared") == nullptr);
  CHECK(index.memory_bytes() <= 32 * 16);
}
