// What a shard refuses while disk space is low (Outside::space_low): whatever would have to be kept
// for a promise that has not been given yet. What was promised earlier goes on, and with it all
// that makes room: acknowledgements, ends of sessions, removal of retained messages, resumed
// sessions, packet ids of deliveries, wills.
#include "mqtt/topic.hpp"
#include "shard/shard_impl.hpp"

namespace skerry::shard {

// Asked of QoS 1 and 2 only, before anything of the message has had an effect.
bool Shard::Impl::takes_space(const Session& from, const mqtt::Publish& packet) {
  if (packet.retain) {
    return !packet.payload.empty();  // without payload it removes one
  }
  if (packet.qos == mqtt::Qos::exactly_once && from.durable_id() != DurableId{}) {
    return true;
  }
  const InFlow flow{.publish = packet, .publisher = from.client_hash()};
  collect(flow);
  return wants_storage(interests_of(packet.topic));
}

bool Shard::Impl::opens_durable(const ConnectRequest& request, const mqtt::Connect& connect) const {
  if (connect.session_expiry_interval == 0 || options.limits.session_expiry_max_seconds == 0) {
    return false;
  }
  const auto found = sessions.find(session_key(request.identity.owner(), request.client_id));
  return found == sessions.end() || connect.clean_start ||
         found->second->durable_id() == DurableId{};
}

}  // namespace skerry::shard
