#include "unit/shard/world.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/keyed_hash.hpp"

namespace skerry::shard::test {
namespace {

using storage::Family;

constexpr std::uint64_t steps_to_quiet_max = 200'000;

}  // namespace

struct World::Side final : Outside {
  Side(World& in, std::uint16_t index) : world(in), core(index) {}

  void send(CoreIndex to, MailBatch mail) override {
    REQUIRE(to.value != core);
    world.mail_.push_back({core, to.value, std::move(mail)});
  }
  void commit(storage::Batch batch, std::uint64_t ticket) override {
    REQUIRE(ticket == ++last_ticket);
    world.largest_batch = std::max(world.largest_batch, batch.count());
    world.commits_.push_back({core, ticket, std::move(batch)});
  }
  void read(ReadRequest request) override { world.reads_.push_back({core, std::move(request)}); }
  bool congested() const noexcept override { return world.congested; }
  bool mailbox_full(CoreIndex) const noexcept override { return world.mailboxes_full; }
  bool space_low() const noexcept override { return world.space_low; }
  void log(int, std::string_view event, std::string_view client, std::string_view what) override {
    if (world.log.size() < 10'000) {
      world.log.push_back(std::string(event).append(" ").append(client).append(" ").append(what));
    }
  }

  World& world;
  std::uint16_t core;
  std::uint64_t last_ticket = 0;
};

World::World(WorldOptions options)
    : options_(options), random_(options.seed), store_(storage::MemoryStore::create()) {
  now_.steady = SteadyTime{} + Seconds(1000);
  now_.wall = wall_from_epoch(1'700'000'000'000);
  build();
  load();
}

World::~World() {
  bring_down();
}

void World::build() {
  counters_.clear();
  completions_.assign(options_.cores, {});
  for (std::uint16_t core = 0; core < options_.cores; ++core) {
    counters_.push_back(std::make_unique<Counters>());
    sides_.push_back(std::make_unique<Side>(*this, core));
  }
  next_id_ = 1;
  const auto restore = make_restore_table();
  for (std::uint16_t core = 0; core < options_.cores; ++core) {
    shards_.push_back(
        std::make_unique<Shard>(ShardOptions{.index = CoreIndex{core},
                                             .core_count = options_.cores,
                                             .hash_key = hash_key_,
                                             .limits = options_.limits,
                                             .memory = options_.memory,
                                             .authorizer = options_.authorizer,
                                             .tap = options_.tap,
                                             .still_valid = options_.still_valid,
                                             .drop_revoked_queues = options_.drop_revoked_queues,
                                             .presence = options_.presence,
                                             .counters = counters_[core].get(),
                                             .next_id = &next_id_,
                                             .restore = restore,
                                             .faults = options_.faults},
                                *sides_[core]));
  }
}

void World::load() {
  for (const Family family : {Family::sessions, Family::subscriptions, Family::messages,
                              Family::acks, Family::inflight, Family::retained}) {
    const auto iterator = store_->scan(family, {});
    for (iterator->seek_first(); iterator->valid(); iterator->next()) {
      for (auto& shard : shards_) {
        CHECK(shard->load(family, iterator->key(), iterator->value(), now_));
      }
    }
  }
  for (auto& shard : shards_) {
    shard->start(now_);
    shard->end_of_turn(now_);
  }
  now_.wall += options_.start_takes;
  now_.steady += options_.start_takes;
  for (auto& shard : shards_) {
    if (shard->next_deadline() <= now_.steady) {
      shard->on_timer(now_);
      shard->end_of_turn(now_);
    }
  }
  // The ports open when all cores have told each other what is subscribed.
  while (step_mail()) {
  }
  for (auto& client : clients_) {
    client->core =
        home_core(hash_key_, session_key(client->owner, client->client_id), options_.cores);
  }
}

void World::bring_down() {
  for (auto& client : clients_) {
    client->server_gone();
  }
  mail_.clear();
  commits_.clear();
  reads_.clear();
  shards_.clear();
  sides_.clear();
}

void World::crash(std::uint16_t cores_after) {
  bring_down();
  store_->forget_unsynced();
  store_->heal();
  options_.cores = cores_after != 0 ? cores_after : options_.cores;
  commits_held = mail_held = congested = mailboxes_full = reads_held = readers_busy = false;
  crash_at_step = 0;
  build();
  load();
}

void World::restart(std::uint16_t cores_after) {
  for (std::uint16_t core = 0; core < options_.cores; ++core) {
    turn(CoreIndex{core}, [&](Shard& shard) { shard.shut_down(now_); });
  }
  while (step_commit()) {
  }
  crash(cores_after);
}

void World::count_step() {
  if (++steps_ == crash_at_step) {
    throw Crashed{};
  }
}

void World::turn(CoreIndex core, const std::function<void(Shard&)>& work) {
  work(*shards_[core.value]);
  shards_[core.value]->end_of_turn(now_);
  collect_all();
}

void World::collect_all() {
  for (auto& client : clients_) {
    client->collect();
  }
}

bool World::first_of_pair(std::size_t index) const {
  for (std::size_t i = 0; i < index; ++i) {
    if (mail_[i].from == mail_[index].from && mail_[i].to == mail_[index].to) {
      return false;
    }
  }
  return true;
}

bool World::deliver(std::size_t index) {
  InTransit transit = std::move(mail_[index]);
  mail_.erase(mail_.begin() + static_cast<std::ptrdiff_t>(index));
  turn(CoreIndex{transit.to}, [&](Shard& shard) {
    shard.receive(CoreIndex{transit.from}, std::move(transit.mail), now_);
  });
  return true;
}

bool World::step_mail() {
  if (mail_.empty()) {
    return false;
  }
  count_step();
  return deliver(0);
}

bool World::step_commit() {
  if (commits_.empty()) {
    return false;
  }
  count_step();
  Commit commit = std::move(commits_.front());
  commits_.pop_front();
  completions_[commit.core].push_back({commit.ticket, store_->write(commit.batch, true)});
  return true;
}

bool World::complete(std::uint16_t core) {
  if (completions_[core].empty()) {
    return false;
  }
  const Completion done = std::move(completions_[core].front());
  completions_[core].pop_front();
  turn(CoreIndex{core}, [&](Shard& shard) { shard.on_committed(done.ticket, done.status, now_); });
  return true;
}

bool World::step_completion() {
  for (std::uint16_t core = 0; core < options_.cores; ++core) {
    if (!completions_[core].empty()) {
      count_step();
      return complete(core);
    }
  }
  return false;
}

bool World::step_read() {
  if (reads_.empty()) {
    return false;
  }
  count_step();
  return answer_read(0);
}

bool World::answer_read(std::size_t index) {
  const Read read = std::move(reads_[index]);
  reads_.erase(reads_.begin() + static_cast<std::ptrdiff_t>(index));
  ReadAnswer answer{.session = read.request.session,
                    .serial = read.request.serial,
                    .failed = true,
                    .messages = {}};
  if (!readers_busy) {
    answer = read_messages(*store_, read.request);
  }
  turn(CoreIndex{read.core}, [&](Shard& shard) { shard.on_read(std::move(answer), now_); });
  return true;
}

bool World::step_timer() {
  for (std::uint16_t core = 0; core < options_.cores; ++core) {
    Shard& shard = *shards_[core];
    if (shard.next_deadline() <= now_.steady || !shard.turn_is_empty()) {
      count_step();
      turn(CoreIndex{core}, [&](Shard& due) { due.on_timer(now_); });
      return true;
    }
  }
  return false;
}

bool World::step_answer() {
  for (auto& client : clients_) {
    if (client->attached() && !client->to_answer_.empty()) {
      count_step();
      return client->answer_one();
    }
  }
  return false;
}

bool World::step_random() {
  std::vector<std::function<bool()>> choices;
  for (std::size_t i = 0; i < mail_.size(); ++i) {
    if (first_of_pair(i)) {
      choices.push_back([this, i] { return deliver(i); });
    }
  }
  if (!commits_.empty()) {
    choices.push_back([this] { return step_commit(); });
  }
  for (std::size_t i = 0; i < reads_.size(); ++i) {
    choices.push_back([this, i] { return answer_read(i); });
  }
  for (std::uint16_t core = 0; core < options_.cores; ++core) {
    if (!completions_[core].empty()) {
      choices.push_back([this, core] { return complete(core); });
    }
    if (shards_[core]->next_deadline() <= now_.steady || !shards_[core]->turn_is_empty()) {
      choices.push_back([this, core] {
        turn(CoreIndex{core}, [&](Shard& due) { due.on_timer(now_); });
        return true;
      });
    }
  }
  for (auto& client : clients_) {
    if (client->attached() && !client->to_answer_.empty()) {
      choices.push_back([&client] { return client->answer_one(); });
    }
  }
  if (choices.empty()) {
    return false;
  }
  return choices[random_() % choices.size()]();
}

void World::run() {
  for (std::uint64_t i = 0; i < steps_to_quiet_max; ++i) {
    const bool worked = (!mail_held && step_mail()) || (!commits_held && step_commit()) ||
                        step_completion() || (!reads_held && step_read()) || step_timer() ||
                        step_answer();
    if (!worked) {
      return;
    }
  }
  FAIL("the shards do not come to rest");
}

void World::run_random() {
  for (std::uint64_t i = 0; i < steps_to_quiet_max; ++i) {
    if (!step_random()) {
      return;
    }
  }
  FAIL("the shards do not come to rest");
}

void World::advance(Milliseconds duration) {
  const SteadyTime end = now_.steady + duration;
  run();
  while (now_.steady < end) {
    SteadyTime next = end;
    for (auto& shard : shards_) {
      next = std::min(next, std::max(shard->next_deadline(), now_.steady + Milliseconds(1)));
    }
    now_.wall += std::chrono::ceil<Milliseconds>(next - now_.steady);
    now_.steady += std::chrono::ceil<Milliseconds>(next - now_.steady);
    run();
  }
}

Client& World::client(std::string_view name, std::uint16_t core, mqtt::Version version) {
  const std::string owner = "user:" + std::string(name);
  for (int i = 0;; ++i) {
    const std::string id = std::string(name) + (i == 0 ? "" : "-" + std::to_string(i));
    if (home_core(hash_key_, session_key(owner, id), options_.cores).value ==
        core % options_.cores) {
      return client_of(owner, id, version);
    }
  }
}

Client& World::client_of(std::string_view owner, std::string_view client_id,
                         mqtt::Version version) {
  return *clients_.emplace_back(
      std::make_unique<Client>(*this, std::string(owner), std::string(client_id), version));
}

std::string World::topic_on(std::uint16_t core, std::string_view prefix) const {
  for (int i = 0;; ++i) {
    std::string topic = std::string(prefix) + "/" + std::to_string(i);
    if (keyed_hash(hash_key_, topic) % options_.cores == core % options_.cores) {
      return topic;
    }
  }
}

std::string World::group_on(std::uint16_t core, std::string_view filter) const {
  for (int i = 0;; ++i) {
    std::string name = "g" + std::to_string(i);
    const std::string key = std::string(name).append(1, '\0').append(filter);
    if (keyed_hash(hash_key_, key) % options_.cores == core % options_.cores) {
      return name;
    }
  }
}

std::size_t World::records(Family family) const {
  std::size_t count = 0;
  const auto iterator = store_->scan(family, {});
  for (iterator->seek_first(); iterator->valid(); iterator->next()) {
    ++count;
  }
  return count;
}

std::size_t World::leftovers() const {
  return records(Family::messages) + records(Family::acks) + records(Family::inflight);
}

std::uint64_t World::dropped(DropReason reason) const {
  std::uint64_t sum = 0;
  for (const auto& each : counters_) {
    sum += each->dropped[static_cast<int>(reason)].read();
  }
  return sum;
}

}  // namespace skerry::shard::test
