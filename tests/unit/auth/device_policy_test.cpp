// The topic table, row by row and direction by direction, and what must not get past it.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "auth/device_policy.hpp"

using namespace skerry;
using plugin::Action;
using plugin::Identity;
using plugin::IdentityKind;
using plugin::PolicyKind;
using plugin::Verdict;

namespace {

const auth::DevicePolicy policy;
const Identity device{.kind = IdentityKind::device, .policy = PolicyKind::device, .name = "d1"};
const Identity open{.kind = IdentityKind::anonymous, .policy = PolicyKind::open, .name = "local"};
const Identity reader{
    .kind = IdentityKind::service, .policy = PolicyKind::service_read, .name = "r"};
const Identity writer{
    .kind = IdentityKind::service, .policy = PolicyKind::service_write, .name = "w"};

bool may(const Identity& who, Action action, std::string_view topic) {
  return policy.decide(who, action, topic).allowed();
}

/// One row of the table: a topic below `devices/{id}/` and who may publish it.
struct Row {
  const char* topic;
  bool by_device;
  bool by_service_write;
  bool by_open;
};

const std::vector<Row> table = {
    {"telemetry", true, false, true},
    {"telemetry/senml", true, false, true},
    {"telemetry/cbor", true, false, true},
    {"events/door", true, false, true},
    {"twin/get", true, false, true},
    {"twin/update", true, true, true},
    {"twin/name/config/get", true, false, true},
    {"twin/name/config/update", true, true, true},
    {"twin/get/accepted", false, false, false},
    {"twin/get/rejected", false, false, false},
    {"twin/update/accepted", false, false, false},
    {"twin/update/rejected", false, false, false},
    {"twin/update/delta", false, false, false},
    {"twin/update/documents", false, false, false},
    {"twin/name/config/get/accepted", false, false, false},
    {"twin/name/config/update/rejected", false, false, false},
    {"twin/name/config/update/delta", false, false, false},
    {"commands/42/request", false, true, false},
    {"commands/42/response", true, false, true},
    {"jobs/get", true, false, true},
    {"jobs/start-next", true, false, true},
    {"jobs/j1/get", true, false, true},
    {"jobs/j1/update", true, false, true},
    {"jobs/notify", false, false, false},
    {"jobs/notify-next", false, false, false},
    {"jobs/get/accepted", false, false, false},
    {"jobs/start-next/accepted", false, false, false},
    {"jobs/start-next/rejected", false, false, false},
    {"jobs/j1/get/accepted", false, false, false},
    {"jobs/j1/update/accepted", false, false, false},
    {"jobs/j1/update/rejected", false, false, false},
    {"certificate/renew", true, false, true},
    {"certificate/renew/accepted", false, false, false},
    {"certificate/renew/rejected", false, false, false},
    {"presence", false, false, false},
};

}  // namespace

TEST_CASE("each row of the topic table may be published by those the table names alone") {
  for (const Row& row : table) {
    CAPTURE(row.topic);
    const std::string own = std::string("devices/d1/") + row.topic;
    const std::string foreign = std::string("devices/d2/") + row.topic;
    CHECK(may(device, Action::publish, own) == row.by_device);
    CHECK_FALSE(may(device, Action::publish, foreign));
    CHECK(may(writer, Action::publish, foreign) == row.by_service_write);
    CHECK_FALSE(may(reader, Action::publish, foreign));
    CHECK(may(open, Action::publish, foreign) == row.by_open);
  }
}

TEST_CASE(
    "each row may be subscribed and received by its device and by services, by no other device") {
  for (const Row& row : table) {
    CAPTURE(row.topic);
    const std::string own = std::string("devices/d1/") + row.topic;
    const std::string foreign = std::string("devices/d2/") + row.topic;
    for (const Action action : {Action::subscribe, Action::receive}) {
      CHECK(may(device, action, own));
      CHECK_FALSE(may(device, action, foreign));
      CHECK(may(reader, action, foreign));
      CHECK(may(writer, action, foreign));
      CHECK(may(open, action, foreign));
    }
    CHECK(policy.decide(device, Action::subscribe, own).verdict == Verdict::allow_and_covers);
  }
}

TEST_CASE("a device publishes nothing that is on no row") {
  for (const char* topic : {"",
                            "/",
                            "telemetry/",
                            "telemetry/xml",
                            "telemetry/senml/x",
                            "Telemetry",
                            "events",
                            "events/",
                            "events/a/b",
                            "twin",
                            "twin/delete",
                            "twin/get/x",
                            "twin/name//get",
                            "twin/name/config",
                            "twin/name/a/b/get",
                            "twin/name/config/delete",
                            "commands",
                            "commands/response",
                            "commands//response",
                            "commands/1/2/response",
                            "commands/42/responses",
                            "jobs",
                            "jobs//update",
                            "jobs/a/b/update",
                            "certificate",
                            "certificate/renew/x",
                            "presence/x",
                            "anything",
                            "$SYS"}) {
    CAPTURE(topic);
    CHECK_FALSE(may(device, Action::publish, std::string("devices/d1/") + topic));
  }
}

TEST_CASE("a device publishes nothing outside its own branch") {
  for (const char* topic : {"devices", "devices/", "devices/d1", "devices/d11/telemetry",
                            "devices/d/telemetry", "devices//telemetry", "Devices/d1/telemetry",
                            "/devices/d1/telemetry", "xdevices/d1/telemetry", "a", "$SYS/x",
                            "$aws/things/d1/shadow/update", "devices/D1/telemetry", "telemetry"}) {
    CAPTURE(topic);
    CHECK_FALSE(may(device, Action::publish, topic));
  }
}

TEST_CASE("a device may subscribe any filter below its own branch, with a cover") {
  for (const char* filter :
       {"devices/d1/#", "devices/d1/+", "devices/d1/+/x", "devices/d1/+/+/request",
        "devices/d1/commands/+/request", "devices/d1/twin/#", "devices/d1/presence",
        "devices/d1/a/b/c", "$share/g/devices/d1/#", "$share/g/devices/d1/telemetry"}) {
    CAPTURE(filter);
    CHECK(policy.decide(device, Action::subscribe, filter).verdict == Verdict::allow_and_covers);
  }
}

TEST_CASE("a device may subscribe no filter that can match what is not its own") {
  for (const char* filter : {"#",
                             "+",
                             "+/#",
                             "+/d1/#",
                             "+/+/telemetry",
                             "devices/#",
                             "devices/+",
                             "devices/+/#",
                             "devices/+/telemetry",
                             "devices/+/commands/+/request",
                             "devices/d2/#",
                             "devices/d1",
                             "devices/d11/#",
                             "$share/g/#",
                             "$share/g/devices/+/#",
                             "$share/g/devices/d2/#",
                             "$share/g/",
                             "$share/g",
                             "$share/devices/d1/#",
                             "$SYS/#",
                             "$SYS/broker/clients",
                             "$aws/things/d2/shadow/#",
                             "$aws/#",
                             "dm/v1/+/cmd/req/+",
                             "/#",
                             ""}) {
    CAPTURE(filter);
    CHECK_FALSE(may(device, Action::subscribe, filter));
  }
}

TEST_CASE("under policy device only a device has rights, however it is called") {
  Identity impostor = device;
  for (const IdentityKind kind :
       {IdentityKind::anonymous, IdentityKind::service, IdentityKind::user}) {
    impostor.kind = kind;
    for (const Action action : {Action::publish, Action::subscribe, Action::receive}) {
      CHECK_FALSE(may(impostor, action, "devices/d1/telemetry"));
    }
  }
  Identity nameless = device;
  nameless.name.clear();
  CHECK_FALSE(may(nameless, Action::subscribe, "devices//#"));
}

TEST_CASE("services read all devices and nothing else") {
  for (const Identity& service : {reader, writer}) {
    for (const char* filter :
         {"devices/#", "devices/+/telemetry", "devices/d1/#", "$share/g/devices/#"}) {
      CAPTURE(filter);
      CHECK(policy.decide(service, Action::subscribe, filter).verdict == Verdict::allow_and_covers);
    }
    for (const char* filter : {"#", "+/#", "+/d1/telemetry", "$SYS/#", "other/#", "$share/g/#"}) {
      CAPTURE(filter);
      CHECK_FALSE(may(service, Action::subscribe, filter));
    }
    CHECK_FALSE(may(service, Action::publish, "other"));
    CHECK_FALSE(may(service, Action::publish, "devices//commands/1/request"));
    CHECK_FALSE(may(service, Action::publish, "devices/d1/commands//request"));
  }
}

TEST_CASE("policy open allows everything but what only the broker says") {
  for (const char* topic : {"a", "a/b/c", "devices", "devices/d1", "devices/d1/anything",
                            "presence", "x/presence", "devices/d1/sensors/presence"}) {
    CAPTURE(topic);
    CHECK(may(open, Action::publish, topic));
    CHECK(may(open, Action::receive, topic));
  }
  for (const char* topic : {"$SYS/x", "$share/g/x", "$aws/x", "devices/d1/presence",
                            "devices//presence", "devices/d1/presence/x"}) {
    CAPTURE(topic);
    CHECK_FALSE(may(open, Action::publish, topic));
  }
  CHECK(policy.decide(open, Action::subscribe, "#").verdict == Verdict::allow_and_covers);
}

TEST_CASE("every decision names its rule") {
  for (const Row& row : table) {
    const std::string topic = std::string("devices/d1/") + row.topic;
    for (const Identity& who : {device, open, reader, writer}) {
      CHECK(std::string_view{policy.decide(who, Action::publish, topic).rule}.size() > 2);
    }
  }
  CHECK(policy.decide(device, Action::publish, "devices/d1/presence").rule ==
        std::string_view{"broker only: presence"});
}

TEST_CASE("the epoch grows when it is told to") {
  auth::DevicePolicy own;
  const auto before = own.epoch();
  own.advance_epoch();
  CHECK(own.epoch() > before);
}
