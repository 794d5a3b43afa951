#include "subscription_load.hpp"

#include <algorithm>
#include <cstring>

#include "failure.hpp"

namespace skerry::bench {
namespace {

constexpr std::uint32_t filters_per_packet = 100;

/// Even numbers are exact, odd ones end in a wildcard; neighbours share their first levels, as
/// devices of a site do.
std::string filter_of(std::uint32_t number) {
  const std::string base =
      "bench/subs/" + std::to_string(number / 1000) + "/" + std::to_string(number);
  return number % 2 == 0 ? base + "/state" : base + "/+";
}

std::string topic_of(std::uint32_t number) {
  return "bench/subs/" + std::to_string(number / 1000) + "/" + std::to_string(number) + "/state";
}

}  // namespace

SubscriptionLoad::SubscriptionLoad(const Common& common, const Plan& plan, std::string name)
    : common_(common), plan_(plan), name_(std::move(name)), fleet_(common.fleet, *this) {
  for (std::uint32_t subscriber = 0; subscriber < plan_.subscribers; ++subscriber) {
    next_.push_back(subscriber);
  }
}

void SubscriptionLoad::on_open(ClientIndex client) {
  append_connect(fleet_.output(client), connect_fields(common_, client));
}

void SubscriptionLoad::on_packet(ClientIndex client, const Packet& packet) {
  switch (packet.kind) {
    case Kind::connack:
      if (packet.reason != 0) {
        throw Failure("CONNACK with reason " + std::to_string(packet.reason));
      }
      ++ready_;
      return;
    case Kind::suback:
      if (packet.reason >= 0x80) {
        throw Failure("SUBACK with reason " + std::to_string(packet.reason) + " after " +
                      std::to_string(answered_) + " subscriptions");
      }
      answered_ += packet.packet_id;
      subscribe_more(client);
      return;
    case Kind::publish: {
      std::int64_t sent_at = 0;
      if (packet.payload.size() != 16) {
        ++foreign_;
        return;
      }
      std::memcpy(&sent_at, packet.payload.data(), sizeof sent_at);
      latency_.add(now() - sent_at);
      ++delivered_;
      if (is_publishing_) {
        publish();
      }
      return;
    }
    default:
      throw Failure("the broker sent packet " + std::to_string(static_cast<int>(packet.kind)) +
                    " with reason " + std::to_string(packet.reason));
  }
}

void SubscriptionLoad::connect_all() {
  for (ClientIndex client = 0; client <= publisher(); ++client) {
    fleet_.open(client, client_id_of(common_, client));
    while (ready_ + 50 <= client) {
      fleet_.turn(100 * millisecond);
    }
  }
  const std::int64_t deadline = now() + 30 * second;
  while (ready_ <= publisher()) {
    fleet_.turn(100 * millisecond);
    if (now() > deadline) {
      throw Failure("not all clients were answered within 30 s");
    }
  }
}

/// One SUBSCRIBE of a client is under way at a time; its packet id is the number of its filters.
void SubscriptionLoad::subscribe_more(ClientIndex client) {
  std::vector<std::string> filters;
  std::uint32_t& number = next_[client];
  for (; number < plan_.subscriptions && filters.size() < filters_per_packet;
       number += plan_.subscribers) {
    filters.push_back(filter_of(number));
  }
  if (!filters.empty()) {
    append_subscribe(fleet_.output(client), filters, 0, static_cast<std::uint16_t>(filters.size()),
                     common_.version());
  }
}

void SubscriptionLoad::subscribe_all() {
  for (ClientIndex client = 0; client < plan_.subscribers; ++client) {
    subscribe_more(client);
  }
  std::int64_t last = now();
  std::uint32_t seen = 0;
  while (answered_ < plan_.subscriptions) {
    fleet_.turn(100 * millisecond);
    if (answered_ != seen) {
      seen = answered_;
      last = now();
      common_.progress("subscribed " + std::to_string(answered_) + "/" +
                       std::to_string(plan_.subscriptions));
    } else if (now() - last > 30 * second) {
      throw Failure("no SUBACK for 30 s");
    }
  }
}

void SubscriptionLoad::publish() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  const auto number = static_cast<std::uint32_t>(random_ % plan_.subscriptions);
  std::string payload(16, 'x');
  const std::int64_t time = now();
  std::memcpy(payload.data(), &time, sizeof time);
  const PublishHead head =
      publish_head(topic_of(number), 0, false, payload.size(), common_.version());
  fleet_.output(publisher()).append(head.bytes).append(payload);
}

void SubscriptionLoad::run_for(double seconds) {
  const std::int64_t end = now() + nanoseconds(seconds);
  while (now() < end) {
    fleet_.turn(10 * millisecond);
  }
}

Report SubscriptionLoad::run() {
  connect_all();
  const auto empty = use_of(common_.broker);
  const std::int64_t begin = now();
  subscribe_all();
  const double subscribing = static_cast<double>(now() - begin) / 1e9;
  const auto full = use_of(common_.broker);
  common_.progress("all are subscribed; publishing");
  is_publishing_ = true;
  for (std::uint32_t i = 0; i < plan_.window; ++i) {
    publish();
  }
  run_for(common_.warm_up_seconds);
  latency_.clear();
  delivered_ = 0;
  const auto before = use_of(common_.broker);
  const std::int64_t measured_from = now();
  run_for(common_.seconds);
  const double seconds = static_cast<double>(now() - measured_from) / 1e9;
  const auto after = use_of(common_.broker);
  is_publishing_ = false;
  const double count = plan_.subscriptions;
  Report report(name_);
  report.add("subscriptions", count, "subscriptions");
  report.add("subscriptions_per_second", count / subscribing, "subscriptions made a second");
  if (empty && full) {
    report.add(
        "resident_bytes_per_subscription",
        (static_cast<double>(full->resident_bytes) - static_cast<double>(empty->resident_bytes)) /
            count,
        "resident memory of the broker per subscription, B");
  }
  report.add("delivered_per_second", static_cast<double>(delivered_) / seconds,
             "messages delivered a second");
  report.add("latency", latency_, "latency");
  report.add_use(before, after, static_cast<double>(delivered_) / 1e6);
  if (delivered_ == 0 || foreign_ > 0) {
    report.fail(delivered_ == 0 ? "no message was delivered"
                                : "messages came that nobody of ours has sent");
  }
  return report;
}

}  // namespace skerry::bench
