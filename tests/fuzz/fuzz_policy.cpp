// Policy files: whatever the text, the answer is a set of policies that survives being printed and
// read again and that decides without crashing, or a ConfigurationError. What a subscription is let
// in for without checks may be received.
#include <cstdlib>

#include "app/configuration_policies.hpp"
#include "auth/policy.hpp"
#include "mqtt/topic.hpp"

namespace {

using namespace skerry;

void decide(const auth::PolicySource& source) {
  const auth::Policy policy{source, [](const std::string&) { return "rule"; }};
  auth::Device device;
  device.id = "d";
  device.model = "m";
  device.tags = {"a", "lab"};
  device.attributes = {{"site", "north"}, {"bad", "a/#"}};
  const auth::PolicySubject subject{plugin::IdentityKind::device, device.id, &device};
  for (const char* filter : {"#", "a/#", "site/+/x", "site/north/x", "+/d", "devices/d/#"}) {
    auth::Trace trace;
    const auto answer = policy.decide(subject, plugin::Action::subscribe, filter, nullptr);
    const auto traced = policy.decide(subject, plugin::Action::subscribe, filter, &trace);
    if (answer.verdict != traced.verdict || trace.size() > source.rules.size()) {
      std::abort();
    }
    for (const char* name : {"a", "a/b", "site/north/x", "site/south/x", "x/d", "devices/d/y"}) {
      const auto received = policy.decide(subject, plugin::Action::receive, name, nullptr);
      if (answer.verdict == plugin::Verdict::allow_and_covers && mqtt::matches(filter, name) &&
          received.verdict == plugin::Verdict::deny) {
        std::abort();
      }
      policy.decide(subject, plugin::Action::publish, name, nullptr);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto policies = app::parse_policies({reinterpret_cast<const char*>(data), size}, "fuzz");
    const std::string text = "policies:\n" + app::policies_text(policies, "  ");
    if (!policies.empty() && app::policies_text(app::parse_policies(text, "again"), "  ") !=
                                 app::policies_text(policies, "  ")) {
      std::abort();
    }
    for (const auth::PolicySource& policy : policies) {
      decide(policy);
    }
  } catch (const app::ConfigurationError&) {
  }
  return 0;
}
