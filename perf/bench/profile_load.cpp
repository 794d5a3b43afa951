#include "profile_load.hpp"

#include <algorithm>
#include <cstring>

#include "failure.hpp"
#include "telemetry.hpp"

namespace skerry::bench {
namespace {

constexpr std::uint32_t connects_at_once = 100;

/// First bytes of a payload of ours that is not telemetry.
struct Stamp {
  char mark[8];
  std::int64_t due;
};
constexpr char stamp_mark[] = "skbench";
static_assert(sizeof stamp_mark == sizeof Stamp::mark);

std::string with_id(std::string text, const std::string& client_id) {
  for (std::size_t at = text.find("{id}"); at != std::string::npos; at = text.find("{id}", at)) {
    text.replace(at, 4, client_id);
    at += client_id.size();
  }
  return text;
}

}  // namespace

ProfileLoad::ProfileLoad(const Common& common, Profile profile, std::string name)
    : common_(common),
      profile_(std::move(profile)),
      name_(std::move(name)),
      fleet_(common.fleet, *this) {
  for (const Group& group : profile_.groups) {
    for (std::uint32_t i = 0; i < group.count; ++i) {
      clients_.emplace_back().group = &group;
    }
  }
}

void ProfileLoad::open(ClientIndex client) {
  clients_[client].is_ready = false;
  clients_[client].opened_at = now();
  clients_[client].waiting.clear();
  fleet_.open(client, client_id_of(common_, client));
}

void ProfileLoad::connect_all() {
  const auto count = static_cast<std::uint32_t>(clients_.size());
  std::uint32_t begun = 0;
  std::uint32_t seen = 0;
  std::int64_t last = now();
  while (ready_ < count) {
    for (; begun < count && begun - ready_ < connects_at_once; ++begun) {
      open(begun);
    }
    fleet_.turn(100 * millisecond);
    if (ready_ != seen) {
      seen = ready_;
      last = now();
      common_.progress("connected " + std::to_string(ready_) + "/" + std::to_string(count));
    } else if (now() - last > 30 * second) {
      throw Failure("no client was answered for 30 s");
    }
  }
}

void ProfileLoad::on_open(ClientIndex client) {
  ConnectFields fields = connect_fields(common_, client, clients_[client].group->session_expiry);
  fields.clean_start = fields.session_expiry == 0;
  append_connect(fleet_.output(client), fields);
}

void ProfileLoad::on_ready(ClientIndex index) {
  Client& client = clients_[index];
  client.is_ready = true;
  reconnected_.add(now() - client.opened_at);
  ready_ += ready_ < clients_.size() ? 1 : 0;
}

void ProfileLoad::on_acknowledged(ClientIndex index, const Packet& packet) {
  Client& client = clients_[index];
  if (packet.reason >= 0x80) {
    throw Failure("a message of group " + client.group->name + " was refused with reason " +
                  std::to_string(packet.reason));
  }
  if (packet.kind == Kind::pubrec) {
    append_acknowledgement(fleet_.output(index), Kind::pubrel, packet.packet_id);
    return;
  }
  const auto found =
      std::find_if(client.waiting.begin(), client.waiting.end(),
                   [&packet](const auto& entry) { return entry.first == packet.packet_id; });
  if (found != client.waiting.end()) {
    acknowledged_.add(now() - found->second);
    client.waiting.erase(found);
  }
}

void ProfileLoad::on_packet(ClientIndex index, const Packet& packet) {
  Client& client = clients_[index];
  switch (packet.kind) {
    case Kind::connack: {
      if (packet.reason != 0) {
        throw Failure("CONNACK with reason " + std::to_string(packet.reason));
      }
      client.receive_maximum = packet.receive_maximum;
      if (client.group->filters.empty()) {
        on_ready(index);
        return;
      }
      std::vector<std::string> filters;
      for (const std::string& filter : client.group->filters) {
        filters.push_back(with_id(filter, client_id_of(common_, index)));
      }
      append_subscribe(fleet_.output(index), filters, client.group->subscription_qos, 1,
                       common_.version());
      return;
    }
    case Kind::suback:
      if (packet.reason >= 0x80) {
        throw Failure("a subscription of group " + client.group->name +
                      " was refused with reason " + std::to_string(packet.reason));
      }
      on_ready(index);
      return;
    case Kind::publish: {
      Stamp stamp{};
      ++delivered_;
      if (packet.payload.size() >= sizeof stamp) {
        std::memcpy(&stamp, packet.payload.data(), sizeof stamp);
        if (std::memcmp(stamp.mark, stamp_mark, sizeof stamp.mark) == 0) {
          delivered_latency_.add(now() - stamp.due);
        }
      }
      if (packet.qos > 0) {
        append_acknowledgement(fleet_.output(index), packet.qos == 1 ? Kind::puback : Kind::pubrec,
                               packet.packet_id);
      }
      return;
    }
    case Kind::pubrel:
      append_acknowledgement(fleet_.output(index), Kind::pubcomp, packet.packet_id);
      return;
    case Kind::puback:
    case Kind::pubrec:
    case Kind::pubcomp:
      on_acknowledged(index, packet);
      return;
    case Kind::disconnect:
      throw Failure("the broker sent DISCONNECT with reason " + std::to_string(packet.reason));
    case Kind::pingresp:
    case Kind::connect:
    case Kind::subscribe:
      return;
  }
}

void ProfileLoad::on_closed(ClientIndex client, const std::string&) {
  ++lost_connections_;
  open(client);
}

/// Spreads the clients of a group over its interval, so that they do not all speak at once.
void ProfileLoad::schedule_first(std::int64_t begin) {
  ClientIndex client = 0;
  for (const Group& group : profile_.groups) {
    for (std::uint32_t i = 0; i < group.count; ++i, ++client) {
      const auto share = [&](std::int64_t whole) { return whole / group.count * i; };
      if (!group.topic.empty()) {
        events_.push({begin + share(group.interval), client, false});
      }
      if (group.reconnect > 0) {
        events_.push({begin + group.reconnect / 2 + share(group.reconnect), client, true});
      }
    }
  }
}

void ProfileLoad::publish(ClientIndex index, std::int64_t due) {
  Client& client = clients_[index];
  const Group& group = *client.group;
  const bool waits = group.qos > 0 && client.waiting.size() >= client.receive_maximum;
  if (!client.is_ready || waits) {
    ++skipped_;
    return;
  }
  std::string payload;
  if (group.payload_bytes == 0) {
    payload = telemetry(epoch_milliseconds(), client.sent);
  } else {
    payload.assign(group.payload_bytes, 'x');
    Stamp stamp{};
    std::memcpy(stamp.mark, stamp_mark, sizeof stamp.mark);
    stamp.due = due;
    std::memcpy(payload.data(), &stamp, sizeof stamp);
  }
  PublishHead head = publish_head(with_id(group.topic, client_id_of(common_, index)), group.qos,
                                  group.retain, payload.size(), common_.version());
  if (group.qos > 0) {
    const auto id = static_cast<std::uint16_t>(client.sent % 65'535 + 1);
    head.bytes[head.id_offset] = static_cast<char>(id >> 8);
    head.bytes[head.id_offset + 1] = static_cast<char>(id & 0xFF);
    client.waiting.emplace_back(id, due);
  }
  ++client.sent;
  ++published_;
  fleet_.output(index).append(head.bytes).append(payload);
}

void ProfileLoad::work_due() {
  for (const std::int64_t time = now(); !events_.empty() && events_.top().at <= time;) {
    const Event event = events_.top();
    events_.pop();
    const Group& group = *clients_[event.client].group;
    if (event.is_reconnect) {
      if (clients_[event.client].is_ready) {
        append_disconnect(fleet_.output(event.client), common_.version(), false);
        fleet_.close(event.client, false);
        open(event.client);
      }
      events_.push({event.at + group.reconnect, event.client, true});
    } else {
      publish(event.client, event.at);
      events_.push({event.at + group.interval, event.client, false});
    }
  }
}

void ProfileLoad::run_until(std::int64_t end) {
  for (std::int64_t time = now(); time < end; time = now()) {
    work_due();
    std::int64_t wait = std::min<std::int64_t>(100 * millisecond, end - time);
    if (!events_.empty()) {
      wait = std::clamp<std::int64_t>(events_.top().at - now(), 0, wait);
    }
    fleet_.turn(wait);
  }
}

Report ProfileLoad::run() {
  connect_all();
  schedule_first(now());
  common_.progress("warming up");
  run_until(now() + nanoseconds(common_.warm_up_seconds));
  for (Histogram* each : {&acknowledged_, &delivered_latency_, &reconnected_}) {
    each->clear();
  }
  published_ = delivered_ = skipped_ = 0;
  const auto before = use_of(common_.broker);
  const std::int64_t begin = now();
  common_.progress("measuring");
  run_until(begin + nanoseconds(common_.seconds));
  const double seconds = static_cast<double>(now() - begin) / 1e9;
  const auto after = use_of(common_.broker);
  Report report(name_);
  report.add("clients", static_cast<double>(clients_.size()), "clients");
  report.add("published_per_second", static_cast<double>(published_) / seconds,
             "messages published a second");
  report.add("delivered_per_second", static_cast<double>(delivered_) / seconds,
             "messages delivered a second");
  report.add("skipped", static_cast<double>(skipped_), "not sent: away, or too many unanswered");
  report.add("acknowledged", acknowledged_, "from due to acknowledged");
  report.add("delivered", delivered_latency_, "from due to delivered");
  report.add("reconnects", static_cast<double>(reconnected_.count()), "reconnects");
  report.add("reconnect", reconnected_, "from connect() to ready");
  report.add_use(before, after, static_cast<double>(published_ + delivered_) / 1e6);
  if (lost_connections_ > 0) {
    report.fail(std::to_string(lost_connections_) + " connections ended without our doing");
  }
  return report;
}

}  // namespace skerry::bench
