#include "sim/connection.hpp"

#include <algorithm>
#include <utility>

#include "mqtt/codec.hpp"
#include "sim/world.hpp"

namespace skerry::sim {

using session::CloseCause;

Connection::Connection(World& world, std::uint32_t index, std::uint32_t client)
    : world_(world), index_(index), client_(client), decoder_(connect_packet_bytes_max) {}

std::string& Connection::output() {
  if (phase_ == Phase::closed) {
    world_.fail("the server writes to a connection that it has closed");
  }
  return down_;
}

void Connection::output_changed() {
  if (!wrote_) {
    wrote_ = true;
    world_.touch(index_);
  }
}

void Connection::close(CloseCause cause) {
  if (phase_ == Phase::closed) {
    world_.fail("the server closes a connection twice");
  }
  output_changed();
  ended(cause);
}

void Connection::ended(CloseCause cause) {
  world_.note("server closes", index_, static_cast<std::uint64_t>(cause));
  const bool was_open = opened_at != never;
  phase_ = Phase::closed;
  closed_at = world_.now();
  up_.clear();
  if (was_open) {
    if (session::ends_rights(cause)) {  // and its session with it, though CONNACK was sent before
      world_.client_of(client_)->session_disturbed();
    }
    world_.client_of(client_)->server_let_go(*this);
    world_.will_closed(*this, cause);
  }
}

void Connection::pause_reading(bool paused) {
  paused_ = paused;
  if (!paused) {
    schedule_up(0);
  }
}

void Connection::send(std::string_view bytes) {
  up_.append(bytes);
  schedule_up(world_.random.between(0, world_.swarm.link_max));
}

void Connection::schedule_up(Time delay) {
  if (!up_scheduled_ && phase_ != Phase::closed) {
    up_scheduled_ = true;
    world_.schedule(World::Event::up, delay, index_);
  }
}

void Connection::schedule_down(Time delay) {
  if (!down_scheduled_) {
    down_scheduled_ = true;
    world_.schedule(World::Event::down, delay, index_);
  }
}

void Connection::leave(Departure how) {
  world_.note("client leaves", index_, static_cast<std::uint64_t>(how));
  departure_ = how;
  if (how == Departure::reset || how == Departure::silent) {
    up_.clear();
  }
  down_.clear();
  noted_ = 0;
  if (how != Departure::silent) {
    schedule_up(world_.random.between(0, world_.swarm.link_max));
  }
}

void Connection::lost() {
  const auto before = phase_;
  if (before == Phase::attached) {
    world_.turn(core_, [this](shard::Shard& shard) {
      ended(CloseCause::connection_lost);
      shard.on_closed(session_, CloseCause::connection_lost, world_.machine->now);
    });
  } else if (before != Phase::closed) {
    phase_ = Phase::closed;
    closed_at = world_.now();
  }
}

std::string Connection::take_up() {
  std::size_t size = up_.size();
  if (world_.swarm.has(Feature::pieces) && size > 1 && !world_.settling) {
    size =
        1 + world_.random.below(world_.random.chance(300) ? std::min<std::size_t>(size, 6) : size);
    size = std::min(size, up_.size());
  }
  std::string taken = up_.substr(0, size);
  up_.erase(0, size);
  return taken;
}

void Connection::carry_up() {
  up_scheduled_ = false;
  if (phase_ == Phase::closed || stalled || phase_ == Phase::carried ||
      (paused_ && departure_ == Departure::none)) {
    return;
  }
  if (up_.empty() || paused_) {
    if (departure_ == Departure::end || departure_ == Departure::reset) {
      lost();
    }
    return;
  }
  const std::string bytes = take_up();
  world_.note_bytes("up", index_, bytes);
  if (phase_ == Phase::attached) {
    world_.turn(core_, [&](shard::Shard& shard) { consume(shard, bytes); });
  } else {
    decoder_.feed(as_bytes(bytes));
    const auto next = decoder_.next();
    if (next.has_error()) {
      phase_ = Phase::closed;
      closed_at = world_.now();
      schedule_down(0);
      return;
    }
    if (next->has_value()) {
      first_frame(**next);
    }
  }
  if (!up_.empty() || departure_ != Departure::none) {
    schedule_up(world_.random.between(0, world_.swarm.link_max));
  }
}

void Connection::first_frame(const mqtt::Frame& frame) {
  request_.connect_frame = as_text(frame.whole);
  const auto packet = mqtt::decode(frame, mqtt::Version::v5, mqtt::Sender::client);
  const auto* connect = packet ? std::get_if<mqtt::Connect>(&*packet) : nullptr;
  if (connect == nullptr) {
    phase_ = Phase::closed;
    closed_at = world_.now();
    schedule_down(0);
    return;
  }
  request_.client_id = connect->client_id;
  request_.identity.kind = plugin::IdentityKind::user;
  request_.identity.policy = plugin::PolicyKind::open;
  request_.identity.name = world_.client_of(client_)->name;
  request_.identity.certificate_serial = "5e" + std::to_string(client_);
  request_.peer_address = "192.0.2.1:" + std::to_string(index_);
  unparsed_ = decoder_.take_unparsed();
  phase_ = Phase::carried;
  world_.schedule(World::Event::open, world_.random.between(1, world_.swarm.mail_max + 1), index_);
}

void Connection::open() {
  if (phase_ != Phase::carried) {
    return;
  }
  core_ = world_.machine->home(request_.identity.owner(), request_.client_id);
  const Now now = world_.machine->now;
  const plugin::Standing standing = world_.rights.standing_of(request_.identity);
  if (!standing.valid()) {
    mqtt::Connack connack;
    connack.reason = mqtt::Reason::not_authorized;
    mqtt::encode(connack, world_.client_of(client_)->version, down_);
    phase_ = Phase::closed;
    closed_at = world_.now();
    schedule_down(0);
    return;
  }
  phase_ = Phase::attached;
  world_.turn(core_, [&](shard::Shard& shard) {
    world_.will_opening(*this);
    session_ = shard.open(std::move(request_), *this, now);
    if (session_ == 0) {
      return;
    }
    opened_at = world_.now();
    world_.client_of(client_)->server_opened(*this);
    world_.will_opened(*this);
    decoder_.set_packet_size_max(world_.swarm.limits.packet_size_max);
    if (phase_ == Phase::attached && !unparsed_.empty()) {
      consume(shard, std::exchange(unparsed_, {}));
    }
  });
  schedule_up(0);
}

void Connection::consume(shard::Shard& shard, std::string_view bytes) {
  const Now now = world_.machine->now;
  decoder_.feed(as_bytes(bytes));
  for (;;) {
    const auto next = decoder_.next();
    if (next.has_error()) {
      return shard.on_violation(session_, next.error(), now);
    }
    if (!next->has_value() || !shard.on_frame(session_, **next, now) || phase_ != Phase::attached) {
      return;
    }
  }
}

void Connection::flush() {
  if (!wrote_) {
    return;
  }
  wrote_ = false;
  note_refusals();
  high_ = high_ || down_.size() >= world_.swarm.limits.output_bytes_max;
  if (departure_ != Departure::none && departure_ != Departure::silent) {
    down_.clear();
    noted_ = 0;
    return;
  }
  schedule_down(world_.random.between(0, world_.swarm.link_max));
}

// What the server refuses because storage fails is refused whether its client hears so or not.
void Connection::note_refusals() {
  const std::size_t from = std::exchange(noted_, down_.size());
  const Swarm& swarm = world_.swarm;
  if (from >= down_.size() || !(swarm.has(Feature::write_fails) || swarm.has(Feature::sync_fails) ||
                                swarm.has(Feature::disk_full))) {
    return;
  }
  Client& client = *world_.client_of(client_);
  mqtt::FrameDecoder decoder{1 << 28};
  decoder.feed(as_bytes(std::string_view(down_).substr(from)));
  for (auto next = decoder.next(); next && next->has_value(); next = decoder.next()) {
    const auto packet = mqtt::decode(**next, client.version, mqtt::Sender::server);
    if (!packet) {
      return;  // the client will say so
    }
    if (const auto* puback = std::get_if<mqtt::Puback>(&*packet)) {
      client.answered(puback->packet_id.value, puback->reason);
    } else if (const auto* pubrec = std::get_if<mqtt::Pubrec>(&*packet)) {
      client.answered(pubrec->packet_id.value, pubrec->reason);
    }
  }
}

void Connection::carry_down() {
  down_scheduled_ = false;
  if (stalled || departure_ == Departure::silent) {
    return;
  }
  std::size_t size = down_.size();
  const bool slowly = slow && !world_.settling;
  if (slowly || (world_.swarm.has(Feature::pieces) && world_.random.chance(300))) {
    size = std::min<std::size_t>(size, 1 + world_.random.below(slowly ? 60 : 400));
  }
  const std::string bytes = down_.substr(0, size);
  down_.erase(0, size);
  noted_ -= std::min(noted_, size);
  world_.note_bytes("down", index_, bytes);
  if (high_ && down_.size() < world_.swarm.limits.output_bytes_max / 2) {
    high_ = false;
    if (phase_ == Phase::attached) {
      world_.turn(core_, [this](shard::Shard& shard) {
        shard.on_output_drained(session_, world_.machine->now);
      });
    }
  }
  Client& client = *world_.client_of(client_);
  if (departure_ == Departure::none && !bytes.empty()) {
    client.receive(*this, bytes);
  }
  if (!down_.empty() && departure_ == Departure::none) {
    schedule_down(slowly ? world_.random.between(millisecond, 100 * millisecond)
                         : world_.random.between(0, world_.swarm.link_max));
  } else if (phase_ == Phase::closed && departure_ == Departure::none) {
    departure_ = Departure::end;
    client.closed(*this);
  }
}

void Connection::unstall() {
  stalled = false;
  schedule_up(0);
  schedule_down(0);
}

void Connection::notice_silence() {
  if (departure_ == Departure::silent && phase_ != Phase::closed) {
    departure_ = Departure::reset;
    up_.clear();
    schedule_up(0);
  }
}

void Connection::server_died() {
  phase_ = Phase::closed;
  up_.clear();
  down_.clear();
  noted_ = 0;
  if (departure_ == Departure::none) {
    departure_ = Departure::reset;
    world_.client_of(client_)->closed(*this);
  }
}

}  // namespace skerry::sim
