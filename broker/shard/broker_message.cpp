// Messages by the broker itself: presence, answers and commands, whose rows of the topic table no
// client may publish. They are routed and stored like any other; only nobody is acknowledged, so
// whoever asked hears of it by a callback.

#include <utility>

#include "shard/shard_impl.hpp"

namespace skerry::shard {

void Shard::publish(const plugin::BrokerMessage& message, MessageStored done, Now now) {
  impl_->publish_by_broker(message, std::move(done), now);
}

void Shard::Impl::publish_by_broker(const plugin::BrokerMessage& message, MessageStored done,
                                    Now now) {
  mqtt::Publish publish;
  publish.topic = message.topic;
  publish.payload = as_bytes(message.payload);
  publish.qos = message.qos;
  publish.retain = message.retain;
  if (!message.content_type.empty()) {
    publish.properties.content_type = message.content_type;
  }
  if (message.correlation_data) {
    publish.properties.correlation_data = as_bytes(*message.correlation_data);
  }
  const GateId gate = open_gate({.purpose = Gate::Purpose::broker_message});
  ++gates.find(gate)->waiting;  // ours: it does not pass while the message is being routed
  broker_messages.emplace(gate, std::move(done));
  route(publish, {.gate = gate}, now);
  counters().broker_messages.add();
  arrive(gate, false, now);
}

void Shard::Impl::broker_message_stored(GateId gate, bool failed) {
  const auto found = broker_messages.find(gate);
  SKERRY_ASSERT(found != broker_messages.end());
  const MessageStored done = std::move(found->second);
  broker_messages.erase(found);
  if (done) {
    done(failed ? storage::Status{storage::StatusCode::full, "the message could not be stored"}
                : storage::Status{});
  }
}

}  // namespace skerry::shard
