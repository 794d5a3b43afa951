// The end of a world: everything comes to rest, everybody goes, nothing is left.
#include <algorithm>

#include "sim/world.hpp"

namespace skerry::sim {
namespace {

using storage::Family;

constexpr Time rest_within = 600 * second;
constexpr std::size_t output_slack = 64 * 1024;

}  // namespace

void World::run_for(Time duration) {
  const Time end = now_ + duration;
  while (step(end)) {
  }
  set_now(std::max(now_, end));
}

// Faults are lifted and everybody comes back, until nothing is under way any more.
void World::settle() {
  settling = true;
  tap.calm = true;
  const Time end = now_ + rest_within;
  for (Time quiet = 0; quiet < 3 * second;) {
    if (now_ > end) {
      std::string all = "the world does not come to rest:";
      all += broken_ ? " store broken" : "";
      all += faulty_ ? " disk faulty" : "";
      all += writing_ ? " writing" : "";
      all += " mail " + std::to_string(machine->mail.size());
      for (const auto& connection : connections) {
        if (connection->phase() != Connection::Phase::closed && connection->unsent() != 0) {
          all += " unsent " + std::to_string(connection->index());
        }
      }
      for (const auto& client : clients) {
        all += "\n  " + client->state();
      }
      fail(all);
    }
    for (const auto& connection : connections) {
      if (connection->stalled) {
        connection->unstall();
      }
      connection->notice_silence();
    }
    machine->congested = machine->mailbox_full = false;
    if (machine->running()) {
      for (const auto& client : clients) {
        client->come_back();
      }
    }
    run_for(500 * millisecond);
    quiet = at_rest() ? quiet + 500 * millisecond : 0;
  }
}

bool World::at_rest() const {
  if (!machine->running() || broken_ || faulty_ || writing_ || !machine->mail.empty() ||
      !machine->commits.empty() || !machine->reads.empty()) {
    return false;
  }
  const bool told = std::all_of(machine->completions.begin(), machine->completions.end(),
                                [](const auto& waiting) { return waiting.empty(); });
  const bool quiet = std::all_of(clients.begin(), clients.end(),
                                 [](const auto& client) { return client->quiet(); });
  const bool sent = std::all_of(connections.begin(), connections.end(), [](const auto& connection) {
    return connection->phase() == Connection::Phase::closed || connection->unsent() == 0;
  });
  return told && quiet && sent;
}

void World::check_caps() {
  if (!machine->running()) {
    return;
  }
  const Limits& limits = swarm.limits;
  for (std::uint16_t core = 0; core < machine->core_count(); ++core) {
    for (const plugin::ClientInfo& info :
         machine->shard(CoreIndex{core})
             .list_clients({.owner = {}, .after_owner = {}, .after_client_id = {}, .limit = 100})) {
      // What was in flight stands in the queue again after a restart.
      if (info.queued_messages > limits.session_queue_messages_max + limits.inflight_max) {
        fail(info.client_id + " has " + std::to_string(info.queued_messages) +
             " messages waiting, over the cap");
      }
    }
  }
  for (const auto& connection : connections) {
    if (connection->unsent() > 2 * limits.output_bytes_max + output_slack) {
      fail("a connection has " + std::to_string(connection->unsent()) + " unsent bytes");
    }
  }
}

void World::end_sessions() {
  if (swarm.has(Feature::retained)) {
    for (TopicIndex topic = 0; topic < topic_count; ++topic) {
      if (topic != forbidden_topic) {
        if (!clients.front()->quiet()) {  // a late keep-alive, say, or its window is full
          settle();
        }
        clients.front()->remove_retained(topic);
        run_for(200 * millisecond);
      }
    }
    settle();
  }
  for (const auto& client : clients) {
    client->finish();
  }
  run_for(30 * second);
}

void World::check_empty() {
  for (const Family family : {Family::sessions, Family::subscriptions, Family::messages,
                              Family::acks, Family::inflight, Family::retained}) {
    if (const std::size_t left = machine->records(family); left != 0) {
      fail(std::to_string(left) + " records of " + std::string(storage::name_of(family)) +
           " are left in the store");
    }
  }
  for (std::uint16_t core = 0; core < machine->core_count(); ++core) {
    for (const shard::Shard::Size& size : machine->shard(CoreIndex{core}).sizes()) {
      if (size.count != 0) {
        fail("core " + std::to_string(core) + " still holds " + std::to_string(size.count) + " " +
             size.name);
      }
    }
  }
}

}  // namespace skerry::sim
