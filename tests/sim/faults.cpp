// What goes wrong in a world: storage, crashes, rights, operators, links. And the committer, which
// does what storage::Committer does: one group at a time, written and then synced; after a failure
// everything that waits fails with it until the store was opened again.
#include <algorithm>
#include <utility>

#include "sim/world.hpp"

namespace skerry::sim {
namespace {

/// What a lift event ends.
enum Lift : std::uint32_t {
  storage_heals,
  congestion_ends,
  mailboxes_empty,
  rights_return,
  topics_return
};

}  // namespace

void World::plan_faults() {
  schedule(Event::fault, later(10 * swarm.pause_max) + 1);
}

void World::fault() {
  if (settling) {
    return;
  }
  plan_faults();
  constexpr Feature all[] = {
      Feature::write_fails,  Feature::sync_fails,    Feature::disk_full,
      Feature::crash,        Feature::restart,       Feature::stalls,
      Feature::congestion,   Feature::mailbox_full,  Feature::rights,
      Feature::topic_rights, Feature::operator_ends, Feature::broker_messages};
  std::vector<Feature> possible;
  std::copy_if(std::begin(all), std::end(all), std::back_inserter(possible),
               [this](Feature feature) { return swarm.has(feature); });
  if (possible.empty() || !machine->running()) {
    return;
  }
  const Feature what = possible[random.below(possible.size())];
  switch (what) {  // NOLINT: the features that are faults
    case Feature::write_fails:
    case Feature::sync_fails:
    case Feature::disk_full:
      return storage_fault(what);
    case Feature::crash:
      return random.chance(400) ? crash(false) : void();
    case Feature::restart:
      return random.chance(300) ? crash(true) : void();
    case Feature::stalls:
      return stall();
    case Feature::congestion:
      machine->congested = true;
      return schedule(Event::lift, later(200 * millisecond), congestion_ends);
    case Feature::mailbox_full:
      machine->mailbox_full = true;
      return schedule(Event::lift, later(200 * millisecond), mailboxes_empty);
    case Feature::rights:
    case Feature::topic_rights:
      return change_rights(what == Feature::rights);
    case Feature::operator_ends:
      return operator_ends();
    default:
      return publish_by_broker();
  }
}

void World::lift(std::uint32_t what, std::uint32_t client) {
  switch (what) {
    case storage_heals:
      machine->store().heal();
      faulty_ = false;
      break;
    case congestion_ends:
      machine->congested = false;
      break;
    case mailboxes_empty:
      machine->mailbox_full = false;
      break;
    case rights_return:
      rights.standing[client] = plugin::Standing::State::valid;
      clients[client]->denied_since = never;
      break;
    case topics_return:
      rights.deny_topics(client, false);
      clients[client]->topics_denied_since = never;
      break;
    default:
      break;
  }
}

// --- storage -------------------------------------------------------------------------------------

void World::storage_fault(Feature what) {
  if (faulty_) {
    return;
  }
  faulty_ = storage_failed = true;
  const auto code = random.chance(500) ? storage::StatusCode::full : storage::StatusCode::io_error;
  const std::uint64_t nth = 1 + random.below(6);
  if (what == Feature::write_fails) {
    machine->store().fail_write(nth, code);
  } else if (what == Feature::sync_fails) {
    machine->store().fail_sync(nth, storage::StatusCode::io_error);
  } else {
    machine->store().set_capacity(1);  // whatever grows is too much
  }
  schedule(Event::lift, later(2 * second) + 1, storage_heals);
}

void World::start_writing() {
  if (!writing_) {
    writing_ = true;
    schedule(Event::write, later(swarm.commit_max) + 1);
  }
}

void World::write_group() {
  if (broken_) {
    writing_ = false;
    return fail_waiting({storage::StatusCode::closed, "the store is being opened again"});
  }
  const std::size_t size = 1 + random.below(machine->commits.size() * 2);
  storage::Batch all;
  while (!machine->commits.empty() && group_.size() < size) {
    group_.push_back(std::move(machine->commits.front()));
    machine->commits.pop_front();
    all.append(group_.back().batch);
  }
  const storage::Status status =
      all.empty() ? storage::Status{} : machine->store().write(all, false);
  if (!status.ok()) {
    return finish_group(status);
  }
  schedule(Event::sync, later(swarm.commit_max) + 1);
}

void World::sync_group() {
  finish_group(machine->store().sync());
}

void World::finish_group(const storage::Status& status) {
  note("committed", group_.size(), static_cast<std::uint64_t>(status.code));
  std::vector<std::uint64_t> last(machine->core_count());
  for (const Machine::Commit& commit : group_) {
    last[commit.core] = commit.ticket;
    if (!status.ok()) {
      failed(commit);
    }
  }
  group_.clear();
  writing_ = false;
  for (std::uint16_t core = 0; core < machine->core_count(); ++core) {
    if (last[core] != 0) {
      tell_completion(core, last[core], status);
    }
  }
  if (!status.ok()) {
    broken_ = true;
    schedule(Event::recover, later(300 * millisecond) + 1);
    fail_waiting(status);
  } else if (!machine->commits.empty()) {
    start_writing();
  } else if (failed_since_ != SteadyTime::max() && made_good()) {
    failed_since_ = SteadyTime::max();
  }
}

void World::failed(const Machine::Commit& commit) {
  failed_since_ = std::min(failed_since_, commit.handed_over);
}

// Do the shards know of nothing any more that differs from its record on disk?
bool World::made_good() const {
  for (std::uint16_t core = 0; core < machine->core_count(); ++core) {
    if (!machine->completions[core].empty()) {
      return false;
    }
    for (const shard::Shard::Size& size : machine->shard(CoreIndex{core}).sizes()) {
      if (size.name == std::string_view("unstored records") && size.count != 0) {
        return false;
      }
    }
  }
  return true;
}

// What shards have handed over from then on may not be on disk.
Time World::unstored_since() const {
  SteadyTime since = machine->now.steady;
  for (const Machine::Commit& commit : group_) {
    since = std::min(since, commit.handed_over);
  }
  if (!machine->commits.empty()) {
    since = std::min(since, machine->commits.front().handed_over);
  }
  since = std::min(since, failed_since_);
  return std::chrono::duration_cast<std::chrono::microseconds>(since - SteadyTime{} - Seconds(1000))
      .count();
}

void World::fail_waiting(const storage::Status& status) {
  std::vector<std::uint64_t> last(machine->core_count());
  for (const Machine::Commit& commit : machine->commits) {
    last[commit.core] = commit.ticket;
    failed(commit);
  }
  machine->commits.clear();
  for (std::uint16_t core = 0; core < machine->core_count(); ++core) {
    if (last[core] != 0) {
      tell_completion(core, last[core], status);
    }
  }
}

void World::tell_completion(std::uint16_t core, std::uint64_t ticket,
                            const storage::Status& status) {
  machine->completions[core].push_back({ticket, status});
  complete_at_[core] = std::max(complete_at_[core], now_ + 1 + later(swarm.mail_max));
  schedule(Event::complete, complete_at_[core] - now_, core);
}

void World::recover_storage() {
  storage::Batch probe;
  probe.put(storage::Family::meta, "probe", "1");
  storage::Status status = machine->store().reopen();
  if (status.ok()) {
    status = machine->store().write(probe, true);
  }
  if (faulty_ || !status.ok()) {
    return schedule(Event::recover, later(300 * millisecond) + 1);
  }
  broken_ = false;
}

// --- the server's life ---------------------------------------------------------------------------

// `orderly`: everything that was handed over is written; else what was not synced is lost, or with
// a process that is killed only what was not written.
void World::crash(bool orderly) {
  note(orderly ? "shutdown" : "crash", boots);
  if (orderly) {
    for (std::uint16_t core = 0; core < machine->core_count(); ++core) {
      turn(CoreIndex{core}, [this](shard::Shard& shard) { shard.shut_down(machine->now); });
    }
    storage::Batch all;
    for (const Machine::Commit& commit : machine->commits) {
      all.append(commit.batch);
    }
    if (!broken_ && machine->store().write(all, true).ok()) {
      group_.clear();
      machine->commits.clear();
    }
  }
  count_drops();
  wills_uncertain(now_ - 5 * second);
  wills_not_cancelled(unstored_since());
  failed_since_ = SteadyTime::max();
  machine->kill(static_cast<std::uint16_t>(1 + random.below(4)));
  ++boots;
  judged_missing_.assign(judged_missing_.size(), 0);
  group_.clear();
  writing_ = broken_ = false;
  if (random.chance(500) && !orderly) {
    machine->store().forget_unsynced();
  }
  machine->store().heal();
  faulty_ = false;
  for (const auto& connection : connections) {
    connection->server_died();
  }
  const Time pause = random.chance(500) ? later(3 * second) : later(50 * millisecond);
  schedule(Event::start, pause + 1);
}

void World::start_server() {
  const std::size_t cores = machine->core_count();
  timer_at_.assign(cores, never);
  mail_at_.assign(cores, std::vector<Time>(cores, 0));
  complete_at_.assign(cores, 0);
  // What RocksDB finds in its log when it opens stands in synced tables before anybody reads it
  // (rocks_tuning.cpp), so that no later power loss takes what a start has acted upon.
  machine->store().sync().ok();
  if (!machine->start()) {
    fail("the store holds a damaged record");
  }
  for (const auto& client : clients) {
    client->server_restarted(now_);
  }
  wills_of_restart();
  for (std::uint16_t core = 0; core < cores; ++core) {
    arm_timer(core);
  }
}

// --- people --------------------------------------------------------------------------------------

void World::change_rights(bool of_owner) {
  using State = plugin::Standing::State;
  const auto who = static_cast<std::uint32_t>(random.below(swarm.clients));
  Client& client = *clients[who];
  if (judged_missing_[who] != 0 || rights.standing[who] != State::valid ||
      rights.topics_denied[who]) {
    return;  // one change at a time
  }
  client.ever_denied = true;
  if (of_owner) {
    constexpr State states[] = {State::expired,   State::denied,  State::revoked,
                                State::suspended, State::retired, State::erased};
    rights.standing[who] = states[random.below(std::size(states))];
    client.session_disturbed();
  } else {
    rights.deny_topics(who, true);
    client.topics_disturbed();
  }
  judged_missing_[who] = machine->core_count();
  for (std::uint16_t core = 0; core < machine->core_count(); ++core) {
    schedule(Event::judge_rights, later(20 * millisecond) + 1, who, core);
  }
  schedule(Event::lift, later(second) + 30 * millisecond, of_owner ? rights_return : topics_return,
           who);
}

void World::judge_rights(std::uint32_t who, std::uint16_t core) {
  bool done = false;
  turn(CoreIndex{core}, [&](shard::Shard& shard) {
    std::string next;
    while (!done) {
      const auto progress = shard.reevaluate("user:" + clients[who]->name, next, machine->now);
      done = progress.done;
      next = progress.next;
    }
  });
  if (judged_missing_[who] == 0 || --judged_missing_[who] != 0) {
    return;
  }
  if (rights.standing[who] != plugin::Standing::State::valid) {
    clients[who]->denied_since = now_;
    Will& will = wills_[who];
    if (will.waits && will.due > now_) {
      will.waits = false;
      history.settle(will.message, Outcome::forbidden, now_);
    }
    for (const auto& connection : connections) {
      if (connection->client() == who && connection->phase() == Connection::Phase::attached) {
        fail(clients[who]->name + " is still connected after its rights have ended");
      }
    }
  }
  if (rights.topics_denied[who]) {
    clients[who]->topics_denied_since = now_;
  }
}

void World::operator_ends() {
  const auto who = static_cast<std::uint32_t>(random.below(swarm.clients));
  Client& client = *clients[who];
  const bool session = random.chance(500);
  const std::string owner = "user:" + client.name;
  const CoreIndex core = machine->home(owner, client.name);
  if (session) {
    client.session_disturbed();
    for (const auto& connection : connections) {
      if (connection->client() == who && connection->phase() == Connection::Phase::attached) {
        connection->expiry = 0;  // of one that is still to come nothing is ended
      }
    }
    Will& will = wills_[who];
    if (will.waits) {
      will.due = now_;
      will_due(will);
    }
  }
  turn(core, [&](shard::Shard& shard) {
    shard.end_client(shard::session_key(owner, client.name),
                     session ? shard::Shard::Ending::session : shard::Shard::Ending::connection,
                     machine->now);
  });
}

void World::publish_by_broker() {
  const auto topic = static_cast<TopicIndex>(random.below(denied_topics));
  const auto qos = static_cast<mqtt::Qos>(random.below(3));
  const bool retain = swarm.has(Feature::retained) && random.chance(300);
  const MessageNumber number = history.add(
      {.publisher = by_broker, .topic = topic, .qos = qos, .retain = retain, .sent = now_});
  const plugin::BrokerMessage message{.topic = std::string(topics[topic]),
                                      .payload = clients.front()->payload_of(number),
                                      .qos = qos,
                                      .retain = retain,
                                      .content_type = {},
                                      .correlation_data = {}};
  const auto core = static_cast<std::uint16_t>(keyed_hash(machine->hash_key(), message.topic) %
                                               machine->core_count());
  turn(CoreIndex{core}, [&](shard::Shard& shard) {
    shard.publish(
        message,
        [this, number](const storage::Status& status) {
          history.settle(number, status.ok() ? Outcome::acknowledged : Outcome::refused, now_);
        },
        machine->now);
  });
}

void World::stall() {
  std::vector<std::uint32_t> alive;
  for (const auto& connection : connections) {
    if (connection->phase() != Connection::Phase::closed && !connection->stalled) {
      alive.push_back(connection->index());
    }
  }
  if (!alive.empty()) {
    const std::uint32_t which = alive[random.below(alive.size())];
    connections[which]->stalled = true;
    schedule(Event::unstall, later(3 * second) + 1, which);
  }
}

}  // namespace skerry::sim
