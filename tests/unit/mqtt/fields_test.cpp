// What decode() puts into the fields, packet by packet.
#include <doctest/doctest.h>

#include "unit/mqtt/vectors.hpp"

namespace skerry::mqtt::testing {
namespace {

const char* notation_of(std::string_view name) {
  for (const Vector& vector : vectors()) {
    if (name == vector.name) {
      return vector.notation;
    }
  }
  FAIL("no such vector");
  return "";
}

/// A vector decoded, with the bytes that its views need.
template <typename Kind>
struct Decoded {
  Decoded(std::string_view name, Version version, Sender sender)
      : frame(bytes_of(notation_of(name))),
        packet(std::get<Kind>(*decode(*frame, version, sender))) {}
  const Kind* operator->() const { return &packet; }

  OwnedFrame frame;
  Kind packet;
};

std::vector<std::string> list_of(const UserProperties& properties) {
  std::vector<std::string> list;
  properties.for_each([&list](const UserProperty& each) {
    list.push_back(std::string(each.name) + "=" + std::string(each.value));
  });
  return list;
}

TEST_CASE("CONNECT 5.0 with everything fills every field") {
  const Decoded<Connect> connect("connect 5.0 with everything", v5, client);
  CHECK(connect->version == Version::v5);
  CHECK(connect->clean_start);
  CHECK(connect->keep_alive == 60);
  CHECK(connect->session_expiry_interval == 0xFFFFFFFF);
  CHECK(connect->receive_maximum == 20);
  CHECK(connect->maximum_packet_size == 65536);
  CHECK(connect->topic_alias_maximum == 10);
  CHECK(connect->request_response_information);
  CHECK(!connect->request_problem_information);
  CHECK(connect->authentication_method == "SCRAM");
  CHECK(as_text(*connect->authentication_data) == std::string_view("\0\1\xFF", 3));
  CHECK(list_of(connect->user_properties) == std::vector<std::string>{"a=b", "a=c"});
  CHECK(connect->client_id == "device-1");
  CHECK(connect->user_name == "user");
  CHECK(as_text(*connect->password) == std::string_view("\0\xFF", 2));
  REQUIRE(connect->will);
  const Will& will = *connect->will;
  CHECK(will.topic == "wills/device-1");
  CHECK(as_text(will.payload) == "gone");
  CHECK(will.qos == Qos::exactly_once);
  CHECK(will.retain);
  CHECK(will.delay_interval == 10);
  CHECK(will.properties.payload_format_indicator == 1);
  CHECK(will.properties.message_expiry_interval == 3600);
  CHECK(will.properties.content_type == "text/plain");
  CHECK(will.properties.response_topic == "answers/1");
  CHECK(as_text(*will.properties.correlation_data) == "\xCA\xFE");
  CHECK(list_of(will.properties.user_properties) == std::vector<std::string>{"k=v"});
}

TEST_CASE("the defaults of CONNECT 5.0 are those of the specification") {
  const Decoded<Connect> connect("connect 5.0 smallest", v5, client);
  CHECK(connect->session_expiry_interval == 0);
  CHECK(connect->receive_maximum == 65535);
  CHECK(connect->maximum_packet_size == 0);
  CHECK(connect->topic_alias_maximum == 0);
  CHECK(!connect->request_response_information);
  CHECK(connect->request_problem_information);
  CHECK(connect->client_id.empty());
  CHECK(!connect->will);
  CHECK(!connect->user_name);
  CHECK(!connect->password);
}

TEST_CASE("the version of CONNECT is read from the packet, and clean session is an expiry") {
  const Decoded<Connect> persistent("connect 3.1.1 persistent", v5, client);
  CHECK(persistent->version == Version::v3_1_1);
  CHECK(!persistent->clean_start);
  CHECK(persistent->session_expiry_interval == 0xFFFFFFFF);
  const Decoded<Connect> clean("connect 3.1", v5, client);
  CHECK(clean->version == Version::v3_1);
  CHECK(clean->session_expiry_interval == 0);
}

TEST_CASE("MQTT 3.1 allows the user name flag without a user name") {
  const Decoded<Connect> connect("connect 3.1 user name flag without user name", v31, client);
  CHECK(!connect->user_name);
  CHECK(!connect->password);
}

TEST_CASE("CONNACK with everything fills every field") {
  const Decoded<Connack> connack("connack 5.0 with everything", v5, server);
  CHECK(connack->reason == Reason::success);
  CHECK(connack->session_expiry_interval == 3600);
  CHECK(connack->receive_maximum == 1024);
  CHECK(connack->maximum_qos == 1);
  CHECK(connack->retain_available == true);
  CHECK(connack->maximum_packet_size == 2097152);
  CHECK(connack->assigned_client_identifier == "auto-1");
  CHECK(connack->topic_alias_maximum == 32);
  CHECK(connack->reason_string == "hello");
  CHECK(connack->wildcard_subscription_available == true);
  CHECK(connack->subscription_identifiers_available == false);
  CHECK(connack->shared_subscription_available == true);
  CHECK(connack->server_keep_alive == 60);
  CHECK(connack->response_information == "responses/");
  CHECK(connack->server_reference == "other:8883");
  CHECK(connack->authentication_method == "SCRAM");
  CHECK(connack->authentication_data->size() == 2);
  CHECK(connack->user_properties.size() == 1);
}

TEST_CASE("the return codes of CONNACK 3.1.1 become reasons and go back") {
  for (std::uint8_t code = 0; code <= 5; ++code) {
    const std::string bytes{'\x20', '\x02', '\0', static_cast<char>(code)};
    const auto packet = decode(*OwnedFrame(bytes), v311, server);
    REQUIRE(packet.has_value());
    CHECK(connack_return_code(std::get<Connack>(*packet).reason) == code);
  }
}

TEST_CASE("PUBLISH with everything fills every field") {
  const Decoded<Publish> publish("publish 5.0 with everything", v5, client);
  CHECK(publish->topic == "devices/7/telemetry");
  CHECK(as_text(publish->payload) == R"({"t":21.5})");
  CHECK(publish->packet_id.value == 1);
  CHECK(publish->qos == Qos::at_least_once);
  CHECK(publish->retain);
  CHECK(!publish->dup);
  CHECK(publish->topic_alias == 7);
  CHECK(publish->properties.payload_format_indicator == 1);
  CHECK(publish->properties.message_expiry_interval == 60);
  CHECK(publish->properties.content_type == "application/json");
  CHECK(publish->properties.response_topic == "answers/1");
  CHECK(publish->properties.correlation_data->size() == 2);
  CHECK(list_of(publish->properties.user_properties) == std::vector<std::string>{"a=b", "a=b"});
}

TEST_CASE("user properties keep their order whatever stands between [MQTT-3.3.2-18]") {
  const Decoded<Publish> publish("publish 5.0 properties between user properties", v5, client);
  CHECK(list_of(publish->properties.user_properties) ==
        std::vector<std::string>{"a=b", "c=d", "="});
  std::string section;
  publish->properties.user_properties.append_encoded(section);
  CHECK(section == Notation(R"(26 "a" "b" 26 "c" "d" 26 "" "")").group().bytes);
  const UserProperties again(as_bytes(section), 3);
  CHECK(list_of(again) == std::vector<std::string>{"a=b", "c=d", "="});
}

TEST_CASE("a server's PUBLISH gives all its subscription identifiers") {
  const Decoded<Publish> publish("publish 5.0 from the server with subscription identifiers", v5,
                                 server);
  CHECK(publish->subscription_identifiers == std::vector<std::uint32_t>{1, 268'435'455});
}

TEST_CASE("SUBSCRIBE gives its options") {
  const Decoded<Subscribe> subscribe("subscribe 5.0 options", v5, client);
  CHECK(subscribe->packet_id.value == 10);
  CHECK(subscribe->subscription_identifier == 129);
  REQUIRE(subscribe->filters.size() == 3);
  const SubscribeFilter& first = subscribe->filters[0];
  CHECK(first.filter == "#");
  CHECK(first.options.maximum_qos == Qos::exactly_once);
  CHECK(first.options.no_local);
  CHECK(first.options.retain_as_published);
  CHECK(first.options.retain_handling == 2);
  CHECK(subscribe->filters[2].filter == "$share/group/a/+");
  CHECK(!subscribe->filters[2].options.no_local);
  CHECK(subscribe->filters[2].options.retain_handling == 1);
}

TEST_CASE("acknowledgements without a reason code mean success") {
  CHECK(Decoded<Puback>("puback 5.0 success", v5, client)->reason == Reason::success);
  CHECK(Decoded<Puback>("puback 5.0 reason", v5, server)->reason ==
        Reason::no_matching_subscribers);
  const Decoded<Puback> refused("puback 5.0 reason with properties", v5, server);
  CHECK(refused->packet_id.value == 10);
  CHECK(refused->reason == Reason::not_authorized);
  CHECK(refused->reason_string == "not yours");
  CHECK(Decoded<Disconnect>("disconnect 5.0 normal", v5, client)->reason == Reason::success);
  CHECK(Decoded<Unsuback>("unsuback 3.1.1", v311, server)->reasons.empty());
}

}  // namespace
}  // namespace skerry::mqtt::testing
