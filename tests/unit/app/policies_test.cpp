// Policies in YAML: what is read, and the sentence for each mistake.
#include "app/configuration_policies.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "crypto/random.hpp"

namespace skerry::app {

namespace {

std::string error_of(std::string_view text) {
  try {
    parse_policies(text, "p.yaml");
  } catch (const ConfigurationError& error) {
    return error.what();
  }
  return "no error";
}

/// A policy with these lines in its one rule.
std::string rule(const std::string& lines) {
  return "policies:\n  a:\n    rules:\n      - " + lines;
}

struct Directory {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("skerry-" + crypto::random_token(12));
  Directory() { std::filesystem::create_directories(path / "policies"); }
  ~Directory() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream{path / name} << text;
    return (path / name).string();
  }
};

}  // namespace

TEST_CASE("a policy file is read with its places, printed, and read to the same") {
  const auto policies = parse_policies(R"(policies:
  lab:
    description: "it's the lab"
    base: device
    rules:
      - name: own-site
        effect: allow
        actions: [publish, subscribe]
        topics: ["site/{attributes.site}/#", "lab/{device}"]
        when:
          tags: [lab]
          attributes: {site: [north, south], line: "3"}
          model: pi4
      - {effect: deny, actions: receive, topics: x}
  other:
    rules: [{effect: allow, actions: [publish], topics: ["#"]}]
)",
                                       "p.yaml");
  REQUIRE(policies.size() == 2);
  CHECK(policies[0].line == 2);
  REQUIRE(policies[0].rules.size() == 2);
  CHECK(policies[0].rules[0].line == 6);
  CHECK(policies[0].rules[0].when.attributes.at("site").size() == 2);
  CHECK(policies[0].rules[0].when.models == std::vector<std::string>{"pi4"});
  CHECK(policies[0].rules[1].name == "2");
  CHECK(policies[0].base == plugin::PolicyKind::device);
  const std::string text = policies_text(policies, "  ");
  CHECK(policies_text(parse_policies("policies:\n" + text, "again"), "  ") == text);
}

TEST_CASE("every mistake in a policy gets its sentence with file and line") {
  const std::pair<std::string, std::string> mistakes[] = {
      {"", "p.yaml:1: the file must be a map of keys and values"},
      {"policy: {}", "p.yaml:1: unknown key \"policy\", did you mean \"policies\"?"},
      {"policies: {open: {}}",
       "p.yaml:1: a policy's name has 1 to 64 of a-z, 0-9, '.', '_' and "
       "'-', and is not that of a built-in one (device, open, "
       "service-read, service-write)"},
      {"policies:\n  a: {rule: []}",
       "p.yaml:2: unknown key \"rule\" in policies.a, did you mean \"rules\"?"},
      {"policies:\n  a: {}", "p.yaml:2: policies.a.rules must be a list of 1 to 256 rules"},
      {"policies:\n  a: {base: open, rules: []}",
       "p.yaml:2: policies.a.base must be one of device, service-read, service-write, not "
       "\"open\""},
      {rule("actions: [publish]"),
       "p.yaml:4: policies.a.rules[0].effect is missing; write allow or "
       "deny"},
      {rule("effect: permit"),
       "p.yaml:4: policies.a.rules[0].effect must be one of allow, deny, not \"permit\""},
      {rule("effect: allow"),
       "p.yaml:4: policies.a.rules[0].actions is missing; write any of "
       "publish, subscribe, receive"},
      {rule("{effect: allow, actions: [read], topics: [a]}"),
       "p.yaml:4: policies.a.rules[0].actions must be of publish, subscribe, receive, not "
       "\"read\""},
      {rule("{effect: allow, actions: [publish]}"),
       "p.yaml:4: policies.a.rules[0].topics is missing; write topics: [\"site/#\"]"},
      {rule(
           "effect: allow\n        actions: [publish]\n        topics:\n          - a\n          - "
           "\"a/{owner}\""),
       "p.yaml:8: policies.a.rules[0].topics, \"a/{owner}\": unknown placeholder {owner}; known "
       "are "
       "{device}, {service}, {name}, {model}, {serialNumber} and {attributes.<name>}"},
      {rule("{effect: allow, actions: [publish], topics: [\"a/#/b\"]}"),
       "p.yaml:4: policies.a.rules[0].topics, \"a/#/b\": this is no topic filter; # stands alone "
       "in "
       "the last level, + alone in one"},
      {rule("{effect: allow, actions: [publish], topics: [a], when: {tag: [x]}}"),
       "p.yaml:4: unknown key \"tag\" in policies.a.rules[0].when, did you mean \"tags\"?"},
      {rule("{effect: allow, actions: [publish], topics: [a], when: {attributes: [x]}}"),
       "p.yaml:4: policies.a.rules[0].when.attributes must be a map such as {site: north} or "
       "{site: "
       "[north, south]}"},
  };
  for (const auto& [text, sentence] : mistakes) {
    CAPTURE(text);
    CHECK(error_of(text) == sentence);
  }
}

TEST_CASE("policy files and directories join the configuration, and references are checked") {
  const Directory directory;
  const std::string body = "\n    rules: [{effect: allow, actions: [publish], topics: [x]}]\n";
  directory.write("policies/one.yaml", "policies:\n  one:" + body);
  directory.write("policies/two.yml", "policies:\n  two:" + body);
  directory.write("policies/notes.txt", "nothing");
  const auto with = [&](const std::string& listener_policy) {
    return directory.write(
        "s.yaml", "authorization:\n  policy_files: ['" + (directory.path / "policies").string() +
                      "']\n  policies:\n    three:" +
                      "\n      rules: [{effect: allow, actions: [publish], topics: [x]}]\n" +
                      "listeners:\n  - {name: a, bind: '127.0.0.1:1', policy: " + listener_policy +
                      "}\n");
  };
  for (const char* known : {"one", "two", "three", "device"}) {
    const Configuration configuration = load_configuration(with(known));
    CHECK(configuration.authorization.policies.size() == 3);
  }
  const std::string path = with("tow");
  CHECK_THROWS_WITH_AS(
      load_configuration(path),
      (path + ":7: listener a: there is no policy \"tow\", did you mean \"two\"?").c_str(),
      ConfigurationError);
  directory.write("policies/again.yaml", "policies:\n  one:" + body);
  CHECK_THROWS_AS(load_configuration(with("one")), ConfigurationError);
}

}  // namespace skerry::app
