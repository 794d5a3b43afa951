#include "sim/world.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "sim/oracle.hpp"

namespace skerry::sim {
namespace {

constexpr std::size_t index_of(DropReason reason) {
  return static_cast<std::size_t>(reason);
}
/// Caps are looked at once in so many events.
constexpr std::uint64_t caps_every = 128;
/// No world needs more: it has not come to rest.
constexpr std::uint64_t events_max = 3'000'000;

constexpr const char* event_names[] = {
    "act",      "answer", "ping",  "up",      "down",         "open",  "mail",  "write",   "sync",
    "complete", "read",   "timer", "recover", "judge rights", "fault", "start", "unstall", "lift"};

}  // namespace

World::World(const WorldOptions& given)
    : options(given),
      swarm(given.seed, given.off),
      random(given.seed),
      rights(swarm.clients),
      tap(swarm, history, random),
      traced_(given.trace_all || given.trace_lines != 0) {
  if (options.actions_max != 0) {
    swarm.actions = std::min(swarm.actions, options.actions_max);
  }
  actions_left = swarm.actions;
  machine = std::make_unique<Machine>(machine_options(), static_cast<MachineListener&>(*this));
  wills_.resize(swarm.clients + 1);
  judged_missing_.resize(swarm.clients + 1);
  for (std::uint32_t i = 0; i < swarm.clients; ++i) {
    const bool old = swarm.has(Feature::old_version) && random.chance(400);
    clients.push_back(
        std::make_unique<Client>(*this, i, old ? mqtt::Version::v3_1_1 : mqtt::Version::v5));
  }
}

World::~World() = default;

MachineOptions World::machine_options() {
  return {.cores = swarm.cores,
          .limits = swarm.limits,
          .authorizer = &rights,
          .tap = &tap,
          .still_valid = [this](const plugin::Identity& identity,
                                WallTime) { return rights.standing_of(identity); },
          .faults = options.faults};
}

void World::run() {
  start_server();
  for (std::uint32_t i = 0; i < swarm.clients; ++i) {
    schedule(Event::act, later(swarm.pause_max), i);
  }
  plan_faults();
  while (actions_left > 0 && step(never)) {
  }
  settle();
  Oracle oracle(*this);
  oracle.judge_retained();
  crash(false);
  settle();
  oracle.judge_retained();
  oracle.judge();
  end_sessions();
  check_empty();
}

void World::schedule(Event event, Time delay, std::uint32_t a, std::uint32_t b) {
  queue_.push({now_ + delay, ++serial_, event, a, b, boots});
}

void World::set_now(Time now) {
  now_ = now;
  machine->now.steady = SteadyTime{} + Seconds(1000) + std::chrono::microseconds(now);
  machine->now.wall = wall_from_epoch(1'700'000'000'000 + now / millisecond);
}

bool World::step(Time until) {
  if (queue_.empty() || queue_.top().at > until) {
    return false;
  }
  const Entry entry = queue_.top();
  queue_.pop();
  set_now(entry.at);
  if (++events_ > events_max) {
    fail("the world does not come to an end");
  }
  dispatch(entry);
  if (machine->broke_contract) {
    fail("a shard broke the contract of its outside");
  }
  if (events_ % caps_every == 0) {
    check_caps();
  }
  return true;
}

void World::dispatch(const Entry& entry) {
  const bool of_server = entry.event >= Event::mail && entry.event <= Event::judge_rights;
  if (of_server && entry.boot != boots) {
    return;  // that server is no more
  }
  note(event_names[static_cast<int>(entry.event)], entry.a, entry.b);
  switch (entry.event) {
    case Event::act:
      if (!settling && actions_left > 0) {
        --actions_left;
        clients[entry.a]->act();
        schedule(Event::act, later(2 * swarm.pause_max) + 1, entry.a);
      }
      break;
    case Event::answer:
      clients[entry.a]->answer();
      break;
    case Event::ping:
      clients[entry.a]->ping(entry.b);
      break;
    case Event::up:
      connections[entry.a]->carry_up();
      break;
    case Event::down:
      connections[entry.a]->carry_down();
      break;
    case Event::open:
      connections[entry.a]->open();
      break;
    case Event::mail:
      machine->deliver(static_cast<std::uint16_t>(entry.a), static_cast<std::uint16_t>(entry.b));
      break;
    case Event::write:
      write_group();
      break;
    case Event::sync:
      sync_group();
      break;
    case Event::complete:
      machine->complete(static_cast<std::uint16_t>(entry.a));
      break;
    case Event::read:
      machine->answer_read();
      break;
    case Event::timer:
      if (timer_at_[entry.a] == entry.at) {
        timer_at_[entry.a] = never;
        machine->on_timer(static_cast<std::uint16_t>(entry.a));
      }
      break;
    case Event::recover:
      recover_storage();
      break;
    case Event::fault:
      fault();
      break;
    case Event::start:
      start_server();
      break;
    case Event::judge_rights:
      judge_rights(entry.a, static_cast<std::uint16_t>(entry.b));
      break;
    case Event::unstall:
      connections[entry.a]->unstall();
      break;
    case Event::lift:
      lift(entry.a, entry.b);
      break;
  }
}

Connection& World::dial(Client& client) {
  connections.push_back(std::make_unique<Connection>(
      *this, static_cast<std::uint32_t>(connections.size()), client.index));
  return *connections.back();
}

void World::turn(CoreIndex core, const std::function<void(shard::Shard&)>& work) {
  machine->turn(core, work);
}

void World::on_mail(std::uint16_t from, std::uint16_t to) {
  Time& last = mail_at_[from][to];
  last = std::max(last, now_ + 1 + later(swarm.mail_max));
  schedule(Event::mail, last - now_, from, to);
}

void World::on_commit(std::uint16_t) {
  start_writing();
}

void World::on_read(std::uint16_t core) {
  schedule(Event::read, later(swarm.commit_max) + 1, core);
}

void World::on_turn(std::uint16_t core) {
  for (const std::uint32_t index : std::exchange(touched_, {})) {
    connections[index]->flush();
  }
  arm_timer(core);
}

void World::arm_timer(std::uint16_t core) {
  const shard::Shard& shard = machine->shard(CoreIndex{core});
  const SteadyTime deadline = shard.next_deadline();
  Time due = never;
  if (!shard.turn_is_empty() || deadline <= machine->now.steady) {
    due = now_ + 1;
  } else if (deadline != SteadyTime::max()) {
    const auto since =
        std::chrono::ceil<std::chrono::microseconds>(deadline - (SteadyTime{} + Seconds(1000)));
    due = std::max<Time>(since.count(), now_ + 1);
  }
  if (due < timer_at_[core]) {
    timer_at_[core] = due;
    schedule(Event::timer, due - now_, core);
  }
}

void World::on_log(std::string text) {
  if (traced_) {
    line("log: " + text);
  }
}

void World::line(std::string text) {
  char stamp[40];
  std::snprintf(stamp, sizeof stamp, "%9.6f  ", static_cast<double>(now_) / second);
  text.insert(0, stamp);
  if (options.trace_all) {
    std::printf("%s\n", text.c_str());
  }
  lines_.push_back(std::move(text));
  if (lines_.size() > options.trace_lines) {
    lines_.pop_front();
  }
}

void World::note(const char* what, std::uint64_t a, std::uint64_t b) {
  for (const std::uint64_t word : {static_cast<std::uint64_t>(now_), a, b}) {
    hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15;
    hash_ ^= hash_ >> 29;
  }
  if (traced_) {
    line(std::string("· ") + what + " " + std::to_string(a) + " " + std::to_string(b));
  }
}

void World::note_bytes(const char* what, std::uint64_t a, std::string_view bytes) {
  for (const char each : bytes) {
    hash_ = (hash_ ^ static_cast<unsigned char>(each)) * 0x100000001b3;
  }
  note(what, a, bytes.size());
}

// --- wills ---------------------------------------------------------------------------------------

// An earlier will that still waits is cancelled when its session is resumed in time; when the
// session ends it is due at once.
void World::will_opening(const Connection& connection) {
  Will& will = wills_[connection.client()];
  if (!will.waits) {
    return;
  }
  if (connection.clean || now_ >= will.due_by) {
    will.due = std::min(will.due, now_);
    return will_due(will);
  }
  will.waits = false;
  const bool close_call = now_ > will.due - 50 * millisecond;
  history.settle(will.message, close_call ? Outcome::lost : Outcome::forbidden, now_);
}

void World::will_opened(const Connection& connection) {
  will_opening(connection);  // that of a connection which this one has taken over
  Will& will = wills_[connection.client()];
  will = {.message = connection.will,
          .delay_seconds = std::min(connection.will_delay, connection.expiry),
          .kept = connection.expiry != 0};
}

void World::will_closed(const Connection& connection, session::CloseCause cause) {
  using session::CloseCause;
  Will& will = wills_[connection.client()];
  if (connection.will == 0 || will.message != connection.will) {
    return;
  }
  if (cause == CloseCause::client_disconnected || session::ends_rights(cause)) {
    history.settle(will.message, Outcome::forbidden, now_);
    return;
  }
  if (cause == CloseCause::server_shutdown) {
    return;  // as after a crash
  }
  history[will.message].sent = now_;
  will.waits = true;
  will.due = now_ + std::min(will.delay_seconds, connection.expiry) * second;
  will.due_by = will.due;
  if (will.due == now_) {
    will_due(will);
  }
}

void World::will_due(Will& will) {
  will.waits = false;
  Message& message = history[will.message];
  if (message.outcome == Outcome::open) {
    const Client& owner = *clients[message.topic - will_topics];
    const bool entitled = !storage_failed && !owner.ever_denied;
    history.settle(will.message, entitled ? Outcome::acknowledged : Outcome::lost, now_);
    message.sent = will.due;
    message.settled = will.due;
    message.fleeting = !will.kept;
  }
}

// A session that stays keeps its will on disk, if its client has heard CONNACK; any other will may
// be lost with the server.
void World::wills_uncertain(Time since) {
  for (Will& will : wills_) {
    if (will.message != 0) {
      Message& message = history[will.message];
      message.sent = std::min(message.sent, now_);
      if (message.outcome == Outcome::open && will.kept && !message.untold) {
        will.due = will.waits ? will.due : now_ + will.delay_seconds * second;
        will.waits = true;
        continue;
      }
      history.settle(will.message, Outcome::lost, now_);
      will = {};
    }
  }
  for (Message& message : history.messages) {
    if (message.fleeting && message.outcome == Outcome::acknowledged && message.sent > since) {
      message.outcome = Outcome::lost;
    }
  }
}

// Whose record says that it was connected when the server went down was cut off just now.
void World::wills_of_restart() {
  for (Will& will : wills_) {
    if (will.waits) {
      will.due_by = std::max(will.due_by == never ? 0 : will.due_by,
                             now_ + will.delay_seconds * second + 10 * millisecond);
    }
  }
}

// Nobody is told that a will is dropped, neither by DISCONNECT nor by who takes its owner's rights,
// so a crash that comes before its record is gone brings it back.
void World::wills_not_cancelled(Time since) {
  for (MessageNumber number = 1; number < history.messages.size(); ++number) {
    Message& message = history[number];
    if (message.publisher == by_will && message.outcome == Outcome::forbidden &&
        message.settled >= since) {
      message.outcome = Outcome::lost;
    }
  }
}

void World::count_drops() {
  for (std::size_t reason = 0; reason < index_of(DropReason::count_); ++reason) {
    dropped[reason] += machine->dropped(static_cast<DropReason>(reason));
  }
}

}  // namespace skerry::sim
