#include "sim/machine.hpp"

#include <utility>

#include "base/assert.hpp"

namespace skerry::sim {

using storage::Family;

void MachineListener::on_mail(std::uint16_t, std::uint16_t) {}
void MachineListener::on_commit(std::uint16_t) {}
void MachineListener::on_read(std::uint16_t) {}
void MachineListener::on_turn(std::uint16_t) {}
void MachineListener::on_log(std::string) {}

struct Machine::Side final : shard::Outside {
  Side(Machine& in, std::uint16_t index) : machine(in), core(index) {}

  void send(CoreIndex to, shard::MailBatch mail) override {
    machine.broke_contract = machine.broke_contract || to.value == core;
    machine.mail.push_back({core, to.value, std::move(mail)});
    machine.listener_.on_mail(core, to.value);
  }
  void commit(storage::Batch batch, std::uint64_t ticket) override {
    machine.broke_contract = machine.broke_contract || ticket != ++last_ticket;
    machine.commits.push_back({core, ticket, std::move(batch), machine.now.steady});
    machine.listener_.on_commit(core);
  }
  void read(shard::ReadRequest request) override {
    machine.reads.push_back({core, std::move(request)});
    machine.listener_.on_read(core);
  }
  bool congested() const noexcept override { return machine.congested; }
  bool mailbox_full(CoreIndex) const noexcept override { return machine.mailbox_full; }
  void log(int, std::string_view event, std::string_view client, std::string_view what) override {
    machine.listener_.on_log(
        std::string(event).append(" ").append(client).append(" ").append(what));
  }

  Machine& machine;
  std::uint16_t core;
  std::uint64_t last_ticket = 0;
};

Machine::Machine(MachineOptions options, MachineListener& listener)
    : options_(std::move(options)), listener_(listener), store_(storage::MemoryStore::create()) {
  now.steady = SteadyTime{} + Seconds(1000);
  now.wall = wall_from_epoch(1'700'000'000'000);
}

Machine::~Machine() {
  kill();
}

void Machine::build() {
  counters_.clear();
  completions.assign(options_.cores, {});
  for (std::uint16_t core = 0; core < options_.cores; ++core) {
    counters_.push_back(std::make_unique<Counters>());
    sides_.push_back(std::make_unique<Side>(*this, core));
  }
  next_id_ = 1;
  const auto restore = shard::make_restore_table();
  for (std::uint16_t core = 0; core < options_.cores; ++core) {
    shards_.push_back(std::make_unique<shard::Shard>(
        shard::ShardOptions{.index = CoreIndex{core},
                            .core_count = options_.cores,
                            .hash_key = hash_key_,
                            .limits = options_.limits,
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

bool Machine::load() {
  bool sound = true;
  for (const Family family : {Family::sessions, Family::subscriptions, Family::messages,
                              Family::acks, Family::inflight, Family::retained}) {
    const auto iterator = store_->scan(family, {});
    for (iterator->seek_first(); iterator->valid(); iterator->next()) {
      for (auto& shard : shards_) {
        sound = shard->load(family, iterator->key(), iterator->value(), now) && sound;
      }
    }
  }
  return sound;
}

bool Machine::start() {
  SKERRY_ASSERT(shards_.empty());
  build();
  const bool sound = load();
  for (auto& shard : shards_) {
    shard->start(now);
    shard->end_of_turn(now);
  }
  while (!mail.empty()) {
    deliver(std::size_t{0});
  }
  return sound;
}

void Machine::kill(std::uint16_t cores_after) {
  mail.clear();
  commits.clear();
  completions.clear();
  reads.clear();
  shards_.clear();
  sides_.clear();
  congested = mailbox_full = false;
  options_.cores = cores_after != 0 ? cores_after : options_.cores;
}

void Machine::turn(CoreIndex core, const std::function<void(shard::Shard&)>& work) {
  work(*shards_[core.value]);
  shards_[core.value]->end_of_turn(now);
  listener_.on_turn(core.value);
}

bool Machine::first_of_pair(std::size_t index) const {
  for (std::size_t i = 0; i < index; ++i) {
    if (mail[i].from == mail[index].from && mail[i].to == mail[index].to) {
      return false;
    }
  }
  return true;
}

void Machine::deliver(std::size_t index) {
  InTransit transit = std::move(mail[index]);
  mail.erase(mail.begin() + static_cast<std::ptrdiff_t>(index));
  turn(CoreIndex{transit.to}, [&](shard::Shard& shard) {
    shard.receive(CoreIndex{transit.from}, std::move(transit.mail), now);
  });
}

bool Machine::deliver(std::uint16_t from, std::uint16_t to) {
  for (std::size_t i = 0; i < mail.size(); ++i) {
    if (mail[i].from == from && mail[i].to == to) {
      deliver(i);
      return true;
    }
  }
  return false;
}

bool Machine::complete(std::uint16_t core) {
  if (completions[core].empty()) {
    return false;
  }
  const Completion done = std::move(completions[core].front());
  completions[core].pop_front();
  turn(CoreIndex{core},
       [&](shard::Shard& shard) { shard.on_committed(done.ticket, done.status, now); });
  return true;
}

bool Machine::answer_read() {
  if (reads.empty()) {
    return false;
  }
  const Read read = std::move(reads.front());
  reads.pop_front();
  turn(CoreIndex{read.core}, [&](shard::Shard& shard) {
    shard.on_read(shard::read_messages(*store_, read.request), now);
  });
  return true;
}

bool Machine::timer_due(std::uint16_t core) const {
  return shards_[core]->next_deadline() <= now.steady || !shards_[core]->turn_is_empty();
}

void Machine::on_timer(std::uint16_t core) {
  turn(CoreIndex{core}, [&](shard::Shard& shard) { shard.on_timer(now); });
}

CoreIndex Machine::home(std::string_view owner, std::string_view client_id) const {
  return shard::home_core(hash_key_, shard::session_key(owner, client_id), options_.cores);
}

std::uint64_t Machine::dropped(DropReason reason) const {
  std::uint64_t sum = 0;
  for (const auto& each : counters_) {
    sum += each->dropped[static_cast<int>(reason)].read();
  }
  return sum;
}

std::size_t Machine::records(Family family) const {
  std::size_t count = 0;
  const auto iterator = store_->scan(family, {});
  for (iterator->seek_first(); iterator->valid(); iterator->next()) {
    ++count;
  }
  return count;
}

}  // namespace skerry::sim
