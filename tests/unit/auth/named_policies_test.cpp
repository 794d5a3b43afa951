// Named policies: what a rule covers, held against naive expansion; placeholders, conditions,
// order, and what stays refused whatever a policy says.
#include "auth/named_policies.hpp"

#include <doctest/doctest.h>

#include <random>

#include "mqtt/topic.hpp"
#include "unit/auth/auth_fixture.hpp"

using namespace skerry;
using namespace skerry::auth;
using plugin::Action;
using plugin::Identity;
using plugin::IdentityKind;
using plugin::PolicyKind;
using plugin::Verdict;

namespace {

PolicyRule rule(Effect effect, std::vector<Action> actions, std::vector<std::string> topics) {
  PolicyRule made;
  made.name = "rule";
  made.effect = effect;
  made.actions = std::move(actions);
  made.topics = std::move(topics);
  made.line = 7;
  return made;
}

PolicySource policy(std::vector<PolicyRule> rules, std::optional<PolicyKind> base = std::nullopt) {
  PolicySource source;
  source.name = "line-3";
  source.base = base;
  source.rules = std::move(rules);
  source.file = "policies.yaml";
  source.line = 3;
  return source;
}

Identity device(const std::string& id) {
  Identity identity;
  identity.kind = IdentityKind::device;
  identity.name = id;
  set_policy(identity, "line-3");
  return identity;
}

struct PolicyFixture {
  std::map<std::string, DevicePointer, std::less<>> devices;
  NamedPolicies policies{[this](std::string_view id) {
    const auto found = devices.find(id);
    return found == devices.end() ? nullptr : found->second;
  }};

  void add(Device entry) {
    const std::string id = entry.id;
    devices[id] = std::make_shared<const Device>(std::move(entry));
  }
  Verdict ask(const Identity& identity, Action action, std::string_view topic) const {
    const auto decision = policies.decide(identity, action, topic);
    // What is explained is what is decided.
    const auto explained = policies.explain(identity, action, topic);
    CHECK(explained.decision.verdict == decision.verdict);
    CHECK(std::string_view{explained.decision.rule} == decision.rule);
    return decision.verdict;
  }
};

Device lab_device() {
  Device made;
  made.id = "pump-7";
  made.model = "pi4";
  made.tags = {"lab", "roof"};
  made.attributes = {{"site", "north"}, {"bad", "a/b"}, {"hash", "#"}, {"plus", "+"}, {"none", ""}};
  return made;
}

}  // namespace

TEST_CASE("a topic template parses, or says what to write instead") {
  for (const char* text : {"a/b", "#", "+/#", "devices/{device}/x/#", "line-{model}-x/+",
                           "{attributes.site}", "{device}{model}", "$SYS/#"}) {
    CHECK_MESSAGE(TopicTemplate::parse(text).has_value(), text);
  }
  for (const char* text :
       {"", "a/#/b", "a+/b", "{device", "device}", "{}", "{owner}", "{attributes.}", "{client_id}",
        "$share/g/a", "{{device}}", "x#", "{device}#", "+{device}"}) {
    const auto parsed = TopicTemplate::parse(text);
    REQUIRE_MESSAGE(!parsed.has_value(), text);
    CHECK_FALSE(parsed.error().empty());
  }
}

TEST_CASE("placeholders stand for a part of one level and for nothing more") {
  PolicyFixture fixture;
  fixture.add(lab_device());
  const std::vector<Action> all{Action::publish, Action::subscribe, Action::receive};
  fixture.policies.replace({policy({rule(Effect::allow, all, {"site/{attributes.site}/{device}/+"}),
                                    rule(Effect::allow, all, {"bad/{attributes.bad}/#"}),
                                    rule(Effect::allow, all, {"hash/{attributes.hash}"}),
                                    rule(Effect::allow, all, {"plus/{attributes.plus}/x"}),
                                    rule(Effect::allow, all, {"none/{attributes.none}/x"}),
                                    rule(Effect::allow, all, {"gone/{attributes.gone}/x"}),
                                    rule(Effect::allow, all, {"model/m-{model}/x"})})});
  const Identity pump = device("pump-7");
  CHECK(fixture.ask(pump, Action::publish, "site/north/pump-7/x") == Verdict::allow);
  CHECK(fixture.ask(pump, Action::subscribe, "site/north/pump-7/+") == Verdict::allow_and_covers);
  CHECK(fixture.ask(pump, Action::subscribe, "site/+/pump-7/x") == Verdict::deny);
  CHECK(fixture.ask(pump, Action::publish, "site/south/pump-7/x") == Verdict::deny);
  CHECK(fixture.ask(pump, Action::publish, "site/north/pump-8/x") == Verdict::deny);
  CHECK(fixture.ask(pump, Action::publish, "model/m-pi4/x") == Verdict::allow);
  for (const char* topic : {"bad/a/b/x", "hash/x", "hash/#", "plus/y/x", "none//x", "gone//x"}) {
    CHECK_MESSAGE(fixture.ask(pump, Action::publish, topic) == Verdict::deny, topic);
  }
  CHECK(fixture.ask(pump, Action::subscribe, "hash/#") == Verdict::deny);
  // Not registered, no device, or another kind of name: nothing to expand.
  CHECK(fixture.ask(device("pump-8"), Action::publish, "site/north/pump-8/x") == Verdict::deny);
  Identity service = device("pump-7");
  service.kind = IdentityKind::service;
  CHECK(fixture.ask(service, Action::publish, "site/north/pump-7/x") == Verdict::deny);
}

TEST_CASE("a denial whose placeholder has no usable value denies whatever could be meant") {
  PolicyFixture fixture;
  fixture.add(lab_device());
  const std::vector<Action> all{Action::publish, Action::subscribe, Action::receive};
  fixture.policies.replace(
      {policy({rule(Effect::deny, all, {"site/{attributes.gone}/secret"}),
               rule(Effect::deny, all, {"line-{attributes.bad}/x"}),
               rule(Effect::deny, all, {"svc/{service}/x"}), rule(Effect::allow, all, {"#"})})});
  const Identity pump = device("pump-7");
  CHECK(fixture.ask(pump, Action::publish, "site/north/secret") == Verdict::deny);
  CHECK(fixture.ask(pump, Action::publish, "site/north/open") == Verdict::allow);
  CHECK(fixture.ask(pump, Action::receive, "site/north/secret") == Verdict::deny);
  CHECK(fixture.ask(pump, Action::subscribe, "site/+/secret") == Verdict::deny);
  CHECK(fixture.ask(pump, Action::subscribe, "site/north/+") == Verdict::allow);  // each is checked
  CHECK(fixture.ask(pump, Action::publish, "line-4/x") == Verdict::deny);
  CHECK(fixture.ask(pump, Action::publish, "other/x") == Verdict::allow);
  // Whose registration is not there has no value for anything.
  CHECK(fixture.ask(device("pump-8"), Action::publish, "site/north/secret") == Verdict::deny);
  // A rule about services is none about devices, and the other way round.
  CHECK(fixture.ask(pump, Action::publish, "svc/any/x") == Verdict::allow);
  Identity service = pump;
  service.kind = IdentityKind::service;
  CHECK(fixture.ask(service, Action::publish, "svc/pump-7/x") == Verdict::deny);
  CHECK(fixture.ask(service, Action::publish, "site/north/secret") == Verdict::allow);
}

TEST_CASE("conditions look at tags, attributes and model") {
  PolicyFixture fixture;
  fixture.add(lab_device());
  const auto with = [](PolicyCondition when) {
    PolicyRule made = rule(Effect::allow, {Action::publish}, {"x"});
    made.when = std::move(when);
    return made;
  };
  const auto allows = [&](PolicyCondition when) {
    fixture.policies.replace({policy({with(std::move(when))})});
    return fixture.ask(device("pump-7"), Action::publish, "x") != Verdict::deny;
  };
  CHECK(allows({}));
  CHECK(allows({{"lab", "roof"}, {{"site", {"south", "north"}}}, {"pi3", "pi4"}}));
  CHECK_FALSE(allows({{"lab", "cellar"}, {}, {}}));
  CHECK_FALSE(allows({{}, {{"site", {"south"}}}, {}}));
  CHECK_FALSE(allows({{}, {{"line", {"3"}}}, {}}));
  CHECK_FALSE(allows({{}, {}, {"pi3"}}));
  CHECK(fixture.ask(device("pump-9"), Action::publish, "x") == Verdict::deny);
}

TEST_CASE("the first rule that says something about all of it decides") {
  PolicyFixture fixture;
  fixture.policies.replace(
      {policy({rule(Effect::deny, {Action::subscribe, Action::publish}, {"site/secret/#"}),
               rule(Effect::allow, {Action::subscribe, Action::publish}, {"site/#"}),
               rule(Effect::deny, {Action::publish}, {"site/late"})})});
  const Identity pump = device("pump-7");
  CHECK(fixture.ask(pump, Action::publish, "site/secret/x") == Verdict::deny);
  CHECK(fixture.ask(pump, Action::publish, "site/late") == Verdict::allow);
  CHECK(fixture.ask(pump, Action::subscribe, "site/secret/+") == Verdict::deny);
  // The hole is looked at with each delivery.
  CHECK(fixture.ask(pump, Action::subscribe, "site/#") == Verdict::allow);
  CHECK(fixture.ask(pump, Action::receive, "site/secret/x") == Verdict::deny);
  CHECK(fixture.ask(pump, Action::receive, "site/open") == Verdict::allow);
  CHECK(fixture.ask(pump, Action::subscribe, "site/open/+") == Verdict::allow_and_covers);
  CHECK(fixture.ask(pump, Action::subscribe, "$share/g/site/open/+") == Verdict::allow_and_covers);
  CHECK(fixture.ask(pump, Action::subscribe, "#") == Verdict::deny);
  CHECK(fixture.ask(pump, Action::subscribe, "+/open") == Verdict::deny);
}

TEST_CASE("a denial of receiving alone leaves the subscription and its hole") {
  PolicyFixture fixture;
  fixture.policies.replace({policy({rule(Effect::deny, {Action::receive}, {"a/secret"}),
                                    rule(Effect::allow, {Action::subscribe}, {"a/#"})})});
  const Identity pump = device("pump-7");
  CHECK(fixture.ask(pump, Action::subscribe, "a/+") == Verdict::allow);
  CHECK(fixture.ask(pump, Action::subscribe, "a/open") == Verdict::allow_and_covers);
  CHECK(fixture.ask(pump, Action::receive, "a/secret") == Verdict::deny);
}

TEST_CASE("what only the broker publishes stays refused whatever a policy says") {
  PolicyFixture fixture;
  fixture.policies.replace({policy({rule(Effect::allow, {Action::publish}, {"#", "$SYS/#"})})});
  const Identity pump = device("pump-7");
  CHECK(fixture.ask(pump, Action::publish, "anything") == Verdict::allow);
  for (const char* topic :
       {"devices/pump-7/presence", "devices/pump-7/twin/update/delta", "$SYS/x",
        "devices/pump-7/commands/1/request", "devices/pump-7/certificate/renew/accepted"}) {
    CHECK_MESSAGE(fixture.ask(pump, Action::publish, topic) == Verdict::deny, topic);
  }
}

TEST_CASE("the built-in policy a policy is based on is asked when no rule decides") {
  PolicyFixture fixture;
  fixture.policies.replace(
      {policy({rule(Effect::allow, {Action::publish}, {"site/x"}),
               rule(Effect::deny, {Action::publish}, {"devices/{device}/events/#"})},
              PolicyKind::device)});
  const Identity pump = device("pump-7");
  CHECK(fixture.ask(pump, Action::publish, "devices/pump-7/telemetry") == Verdict::allow);
  CHECK(fixture.ask(pump, Action::publish, "devices/pump-7/events/x") == Verdict::deny);
  CHECK(fixture.ask(pump, Action::publish, "site/x") == Verdict::allow);
  CHECK(fixture.ask(pump, Action::publish, "devices/pump-8/telemetry") == Verdict::deny);
  CHECK(fixture.ask(pump, Action::publish, "devices/pump-7/presence") == Verdict::deny);
  CHECK(fixture.ask(pump, Action::subscribe, "devices/pump-7/#") == Verdict::allow_and_covers);
}

TEST_CASE("a policy that is not defined denies, and one that is replaced changes the epoch") {
  PolicyFixture fixture;
  const Identity pump = device("pump-7");
  CHECK(fixture.ask(pump, Action::publish, "x") == Verdict::deny);
  const auto before = fixture.policies.epoch();
  fixture.policies.replace({policy({rule(Effect::allow, {Action::publish}, {"x"})})});
  CHECK(fixture.policies.epoch() > before);
  CHECK(fixture.ask(pump, Action::publish, "x") == Verdict::allow);
  fixture.policies.replace({});
  CHECK(fixture.ask(pump, Action::publish, "x") == Verdict::deny);
  // Built-in ones are untouched.
  Identity builtin = pump;
  set_policy(builtin, "device");
  CHECK(fixture.ask(builtin, Action::publish, "devices/pump-7/telemetry") == Verdict::allow);
}

TEST_CASE("an explanation names rule, file, line and what a template stood for") {
  PolicyFixture fixture;
  fixture.add(lab_device());
  PolicyRule first = rule(Effect::deny, {Action::publish}, {"gone/{attributes.gone}"});
  PolicyRule second = rule(Effect::allow, {Action::publish}, {"site/{attributes.site}/+"});
  second.line = 12;
  fixture.policies.replace({policy({first, second})});
  const auto found = fixture.policies.explain(device("pump-7"), Action::publish, "site/north/x");
  CHECK(found.decision.allowed());
  CHECK(found.policy == "line-3");
  CHECK(found.file == "policies.yaml");
  CHECK(found.line == 12);
  REQUIRE(found.rules.size() == 2);
  CHECK(found.rules[0].outcome == "{attributes.gone} has no value here");
  CHECK(found.rules[1].expansion == "site/north/+");
  CHECK(found.rules[1].decides);
  CHECK(std::string_view{found.decision.rule} == "policy line-3, rule rule (policies.yaml:12)");
}

TEST_CASE("coverage and overlap agree with naive expansion") {
  std::mt19937 random{7};
  const std::vector<std::string> levels{"a", "b", "$x", ""};
  std::vector<std::string> names;
  std::vector<std::string> layer{""};
  for (int depth = 0; depth < 4; ++depth) {
    std::vector<std::string> next;
    for (const std::string& before : layer) {
      for (const std::string& level : levels) {
        next.push_back(depth == 0 ? level : before + "/" + level);
      }
    }
    for (const std::string& name : next) {
      if (mqtt::is_valid_topic_name(name)) {
        names.push_back(name);
      }
    }
    layer = std::move(next);
  }
  const auto any_filter = [&] {
    std::string filter;
    const auto depth = 1 + random() % 3;
    for (std::size_t level = 0; level < depth; ++level) {
      const auto kind = random() % 6;
      filter += level == 0 ? "" : "/";
      if (kind == 5 && level + 1 == depth) {
        filter += "#";
      } else {
        filter += kind >= 4 ? "+" : levels[kind];
      }
    }
    return filter;
  };
  int covered = 0;
  int overlapping = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::string wide = any_filter();
    const std::string narrow = any_filter();
    // "/#" would match its parent, the empty name, which does not exist: overlap() may say yes.
    if (!mqtt::is_valid_topic_filter(wide) || !mqtt::is_valid_topic_filter(narrow) ||
        wide == "/#" || narrow == "/#") {
      continue;
    }
    bool is_covered = true;
    bool overlaps = false;
    for (const std::string& name : names) {
      const bool in_narrow = mqtt::matches(narrow, name);
      const bool in_wide = mqtt::matches(wide, name);
      is_covered = is_covered && (!in_narrow || in_wide);
      overlaps = overlaps || (in_narrow && in_wide);
    }
    const std::string pair = wide + " and " + narrow;
    REQUIRE_MESSAGE(overlap(wide, narrow) == overlaps, pair);
    REQUIRE_MESSAGE(overlap(narrow, wide) == overlaps, pair);
    // Names of the test have few different levels: "+" there is no more than all of them.
    if (mqtt::covers(wide, narrow)) {
      REQUIRE_MESSAGE(is_covered, pair);
    }
    covered += mqtt::covers(wide, narrow) ? 1 : 0;
    overlapping += overlaps ? 1 : 0;
  }
  CHECK(covered > 500);
  CHECK(overlapping > 1000);
}

TEST_CASE("a subscription that is let in without checks never gets what a rule denies") {
  std::mt19937 random{11};
  const std::vector<std::string> pool{"a/b", "a/+", "a/#", "+/b", "#",     "b/#",
                                      "a",   "b/a", "+",   "+/+", "a/b/#", "b/+/a"};
  const std::vector<std::string> names{"a",   "b",     "a/a",   "a/b",   "b/a",
                                       "b/b", "a/b/a", "b/a/a", "b/b/a", "$x/a"};
  for (int round = 0; round < 5'000; ++round) {
    PolicyFixture fixture;
    std::vector<PolicyRule> rules;
    for (auto count = 1 + random() % 4; count > 0; --count) {
      rules.push_back(
          rule(random() % 3 == 0 ? Effect::deny : Effect::allow,
               random() % 2 == 0 ? std::vector{Action::subscribe} : std::vector{Action::receive},
               {pool[random() % pool.size()]}));
    }
    fixture.policies.replace({policy(rules)});
    const std::string filter = pool[random() % pool.size()];
    const Identity pump = device("pump-7");
    if (fixture.policies.decide(pump, Action::subscribe, filter).verdict !=
        Verdict::allow_and_covers) {
      continue;
    }
    for (const std::string& name : names) {
      if (mqtt::matches(filter, name)) {
        REQUIRE(fixture.policies.decide(pump, Action::receive, name).allowed());
      }
    }
  }
}
