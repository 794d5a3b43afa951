#include "sim/describe.hpp"

namespace skerry::sim {
namespace {

std::string hexadecimal(mqtt::Reason reason) {
  static constexpr char digits[] = "0123456789abcdef";
  const auto code = static_cast<unsigned>(reason);
  return std::string(" 0x") + digits[code >> 4] + digits[code & 15];
}

std::string acknowledgement(const char* name, mqtt::PacketId id, mqtt::Reason reason) {
  return std::string(name) + " #" + std::to_string(id.value) +
         (reason == mqtt::Reason::success ? "" : hexadecimal(reason));
}

std::string describe_publish(const mqtt::Publish& publish) {
  std::string text = "PUBLISH " + std::string(publish.topic) + "=" +
                     std::string(as_text(publish.payload)) + " q" +
                     std::to_string(static_cast<int>(publish.qos));
  if (publish.packet_id.value != 0) {
    text += " #" + std::to_string(publish.packet_id.value);
  }
  text += publish.dup ? " dup" : "";
  text += publish.retain ? " retain" : "";
  for (const std::uint32_t id : publish.subscription_identifiers) {
    text += " id=" + std::to_string(id);
  }
  if (publish.topic_alias) {
    text += " alias=" + std::to_string(*publish.topic_alias);
  }
  if (publish.properties.message_expiry_interval) {
    text += " expiry=" + std::to_string(*publish.properties.message_expiry_interval);
  }
  return text;
}

std::string describe_connect(const mqtt::Connect& connect) {
  std::string text = connect.version == mqtt::Version::v5 ? "CONNECT" : "CONNECT 3.1.1";
  text += connect.clean_start ? " clean" : "";
  text += " expiry=" + std::to_string(connect.session_expiry_interval);
  text += " window=" + std::to_string(connect.receive_maximum);
  if (connect.will) {
    text += " will=" + std::string(as_text(connect.will->payload)) + " q" +
            std::to_string(static_cast<int>(connect.will->qos)) +
            " delay=" + std::to_string(connect.will->delay_interval);
  }
  return text;
}

std::string describe_subscribe(const mqtt::Subscribe& subscribe) {
  std::string text = "SUBSCRIBE #" + std::to_string(subscribe.packet_id.value);
  for (const mqtt::SubscribeFilter& each : subscribe.filters) {
    text += " " + std::string(each.filter) + " q" +
            std::to_string(static_cast<int>(each.options.maximum_qos));
  }
  return text;
}

struct Describe {
  std::string operator()(const mqtt::Connect& p) const { return describe_connect(p); }
  std::string operator()(const mqtt::Connack& p) const {
    return "CONNACK" + hexadecimal(p.reason) + (p.session_present ? " present" : "");
  }
  std::string operator()(const mqtt::Publish& p) const { return describe_publish(p); }
  std::string operator()(const mqtt::Puback& p) const {
    return acknowledgement("PUBACK", p.packet_id, p.reason);
  }
  std::string operator()(const mqtt::Pubrec& p) const {
    return acknowledgement("PUBREC", p.packet_id, p.reason);
  }
  std::string operator()(const mqtt::Pubrel& p) const {
    return acknowledgement("PUBREL", p.packet_id, p.reason);
  }
  std::string operator()(const mqtt::Pubcomp& p) const {
    return acknowledgement("PUBCOMP", p.packet_id, p.reason);
  }
  std::string operator()(const mqtt::Subscribe& p) const { return describe_subscribe(p); }
  std::string operator()(const mqtt::Unsubscribe& p) const {
    return "UNSUBSCRIBE #" + std::to_string(p.packet_id.value) + " " +
           std::string(p.filters.front());
  }
  std::string operator()(const mqtt::Suback& p) const { return list("SUBACK", p); }
  std::string operator()(const mqtt::Unsuback& p) const { return list("UNSUBACK", p); }
  std::string operator()(const mqtt::Pingresp&) const { return "PINGRESP"; }
  std::string operator()(const mqtt::Disconnect& p) const {
    return "DISCONNECT" + hexadecimal(p.reason);
  }
  template <typename Other>
  std::string operator()(const Other&) const {
    return "?";
  }
  template <typename Packet>
  static std::string list(const char* name, const Packet& packet) {
    std::string text = std::string(name) + " #" + std::to_string(packet.packet_id.value);
    for (const mqtt::Reason reason : packet.reasons) {
      text += hexadecimal(reason);
    }
    return text;
  }
};

}  // namespace

std::string describe(const mqtt::Packet& packet) {
  return std::visit(Describe{}, packet);
}

}  // namespace skerry::sim
