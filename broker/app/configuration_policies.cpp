#include "app/configuration_policies.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "app/configuration_section.hpp"
#include "app/configuration_value.hpp"
#include "auth/policy_template.hpp"

namespace skerry::app {

namespace {

using auth::PolicyRule;
using auth::PolicySource;
using plugin::PolicyKind;

/// Of all policies of one file together, so that aliases in YAML do not make a small file large.
constexpr std::size_t topics_of_all_max = 20'000;

unsigned line_of(const YAML::Node& node) {
  return static_cast<unsigned>(std::max(node.Mark().line, 0) + 1);
}

/// A list of words, or a single one.
std::vector<std::string> words_of(const Section& section, const std::string& what,
                                  const YAML::Node& node, std::size_t most) {
  std::vector<std::string> words;
  if (node.IsScalar()) {
    words.push_back(section.scalar(node, what));
    return words;
  }
  if (!node.IsSequence() || node.size() == 0 || node.size() > most) {
    section.fail(node, what + " must be a list of 1 to " + std::to_string(most) +
                           " entries, such as [a, b]");
  }
  for (const auto& each : node) {
    words.push_back(section.scalar(each, "an entry of " + what));
  }
  return words;
}

std::vector<std::string> read_words(const Section& section, std::string_view key,
                                    std::size_t most) {
  const YAML::Node node = section.value(key);
  return node ? words_of(section, section.qualified(key), node, most) : std::vector<std::string>{};
}

void read_condition(const Section& rule, auth::PolicyCondition& when) {
  const YAML::Node node = rule.value("when");
  if (!node) {
    return;
  }
  const Section section(rule.file(), rule.qualified("when"), node, {"tags", "attributes", "model"});
  when.tags = read_words(section, "tags", policy_values_max);
  when.models = read_words(section, "model", policy_values_max);
  const YAML::Node attributes = section.value("attributes");
  if (!attributes) {
    return;
  }
  if (!attributes.IsMap() || attributes.size() == 0 || attributes.size() > policy_values_max) {
    section.fail(attributes, section.qualified("attributes") +
                                 " must be a map such as {site: north} or {site: [north, south]}");
  }
  for (const auto& entry : attributes) {
    const std::string name = section.scalar(entry.first, "an attribute's name");
    if (!when.attributes.emplace(name, std::vector<std::string>{}).second) {
      section.fail(entry.first, "the attribute \"" + name + "\" comes twice");
    }
    when.attributes[name] = words_of(section, section.qualified("attributes") + "." + name,
                                     entry.second, policy_values_max);
  }
}

void read_topics(const Section& section, const YAML::Node& node, PolicyRule& rule) {
  rule.topics = read_words(section, "topics", policy_topics_max);
  if (rule.topics.empty()) {
    section.fail(node, section.qualified("topics") + " is missing; write topics: [\"site/#\"]");
  }
  const YAML::Node list = section.value("topics");
  for (std::size_t index = 0; index < rule.topics.size(); ++index) {
    const auto parsed = auth::TopicTemplate::parse(rule.topics[index]);
    if (!parsed) {
      section.fail(list.IsSequence() ? list[index] : list, section.qualified("topics") + ", \"" +
                                                               rule.topics[index].substr(0, 200) +
                                                               "\": " + parsed.error());
    }
  }
}

PolicyRule read_rule(const Section& policy, std::size_t index, const YAML::Node& node) {
  const Section section(policy.file(), policy.qualified("rules[" + std::to_string(index) + "]"),
                        node, {"name", "effect", "actions", "topics", "when"});
  PolicyRule rule;
  rule.line = line_of(node);
  rule.name = std::to_string(index + 1);
  section.read("name", rule.name);
  if (rule.name.size() > policy_name_bytes_max) {
    section.fail(section.value("name"), section.qualified("name") + " is longer than 64 bytes");
  }
  if (!section.value("effect")) {
    section.fail(node, section.qualified("effect") + " is missing; write allow or deny");
  }
  section.read_choice<auth::Effect>("effect", rule.effect,
                                    {{"allow", auth::Effect::allow}, {"deny", auth::Effect::deny}});
  const std::vector<std::string> actions = read_words(section, "actions", 3);
  if (actions.empty()) {
    section.fail(node, section.qualified("actions") +
                           " is missing; write any of publish, subscribe, receive");
  }
  for (const std::string& word : actions) {
    const auto action = auth::action_of(word);
    if (!action) {
      section.fail(section.value("actions"), section.qualified("actions") +
                                                 " must be of publish, subscribe, receive, not \"" +
                                                 word + "\"");
    }
    rule.actions.push_back(*action);
  }
  read_topics(section, node, rule);
  read_condition(section, rule.when);
  return rule;
}

PolicySource read_policy(const std::string& file, const std::string& path, const YAML::Node& node) {
  const Section section(file, path, node, {"description", "base", "rules"});
  PolicySource policy;
  policy.file = file;
  policy.line = line_of(node);
  section.read("description", policy.description);
  if (section.value("base")) {
    PolicyKind base = PolicyKind::device;
    section.read_choice<PolicyKind>("base", base,
                                    {{"device", PolicyKind::device},
                                     {"service-read", PolicyKind::service_read},
                                     {"service-write", PolicyKind::service_write}});
    policy.base = base;
  }
  const YAML::Node rules = section.value("rules");
  if (!rules || !rules.IsSequence() || rules.size() == 0 || rules.size() > policy_rules_max) {
    section.fail(rules ? rules : node, section.qualified("rules") + " must be a list of 1 to " +
                                           std::to_string(policy_rules_max) + " rules");
  }
  std::size_t index = 0;
  for (const auto& each : rules) {
    policy.rules.push_back(read_rule(section, index++, each));
  }
  return policy;
}

std::string list_text(const std::vector<std::string>& words) {
  std::string text = "[";
  for (const std::string& word : words) {
    text += (text.size() > 1 ? ", " : "") + quoted(word);
  }
  return text + "]";
}

std::string condition_text(const auth::PolicyCondition& when, const std::string& indent) {
  std::string text = indent + "when:\n";
  if (!when.tags.empty()) {
    text += indent + "  tags: " + list_text(when.tags) + "\n";
  }
  if (!when.models.empty()) {
    text += indent + "  model: " + list_text(when.models) + "\n";
  }
  if (!when.attributes.empty()) {
    text += indent + "  attributes:\n";
    for (const auto& [name, values] : when.attributes) {
      text += indent + "    " + quoted(name) + ": " + list_text(values) + "\n";
    }
  }
  return text;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(configuration_bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file && !file.eof()) {
    throw ConfigurationError(path + ": cannot be read: " + std::strerror(errno));
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > configuration_bytes_max) {
    throw ConfigurationError(path + ": is larger than 1MiB");
  }
  return text;
}

std::vector<std::string> files_at(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    return {path};
  }
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".yaml" || extension == ".yml") {
      files.push_back(entry.path().string());
    }
  }
  if (error || files.size() > policy_files_max) {
    throw ConfigurationError(path + ": cannot be read, or has more than " +
                             std::to_string(policy_files_max) + " files");
  }
  std::sort(files.begin(), files.end());
  return files;
}

void check_reference(const Configuration& configuration, const std::string& what,
                     const std::string& name, unsigned line) {
  if (auth::builtin_policy(name)) {
    return;
  }
  std::string nearest;
  for (const PolicySource& policy : configuration.authorization.policies) {
    if (policy.name == name) {
      return;
    }
    if (edit_distance(policy.name, name) <= 3) {
      nearest = ", did you mean \"" + policy.name + "\"?";
    }
  }
  throw ConfigurationError(configuration.file + ":" + std::to_string(line) + ": " + what +
                           ": there is no policy \"" + name + "\"" + nearest);
}

void check_references(const Configuration& configuration) {
  for (const ListenerConfiguration& listener : configuration.listeners) {
    check_reference(configuration, "listener " + listener.name,
                    auth::policy_text(listener.policy, listener.policy_name), listener.policy_line);
  }
  for (const IssuerConfiguration& issuer : configuration.authentication.issuers) {
    check_reference(configuration, "issuer " + issuer.name, issuer.policy, issuer.line);
    for (const std::string& policy : issuer.policies) {
      check_reference(configuration, "issuer " + issuer.name, policy, issuer.line);
    }
  }
}

}  // namespace

void read_policies(const std::string& file, const std::string& path, const YAML::Node& node,
                   std::vector<PolicySource>& policies) {
  if (!node.IsMap()) {
    fail_at(file, node, path + " must be a map of names and policies");
  }
  std::size_t topics = 0;
  for (const auto& entry : node) {
    const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : std::string{};
    if (!auth::is_valid_policy_name(name)) {
      fail_at(file, entry.first,
              "a policy's name has 1 to 64 of a-z, 0-9, '.', '_' and '-', and is not that of a "
              "built-in one (device, open, service-read, service-write)");
    }
    for (const PolicySource& other : policies) {
      if (other.name == name) {
        fail_at(file, entry.first,
                "there is a policy \"" + name + "\" already, at " + other.file + ":" +
                    std::to_string(other.line));
      }
    }
    PolicySource policy = read_policy(file, path + "." + name, entry.second);
    policy.name = name;
    policy.line = line_of(entry.first);
    for (const PolicyRule& rule : policy.rules) {
      topics += rule.topics.size();
    }
    policies.push_back(std::move(policy));
    if (policies.size() > policies_max || topics > topics_of_all_max) {
      fail_at(file, entry.first, "there are too many policies, or too many topics in them");
    }
  }
}

std::vector<PolicySource> parse_policies(std::string_view text, const std::string& name) {
  std::vector<PolicySource> policies;
  try {
    const YAML::Node node = YAML::Load(std::string(text));
    const Section top(name, "", node, {"policies"});
    const YAML::Node map = top.value("policies");
    if (!map) {
      top.fail(node, "policies is missing; a policy file begins with \"policies:\"");
    }
    read_policies(name, "policies", map, policies);
  } catch (const YAML::Exception& error) {
    throw ConfigurationError(name + ":" + std::to_string(error.mark.line + 1) +
                             ": this is not YAML: " + error.msg);
  }
  return policies;
}

void load_policies(Configuration& configuration) {
  AuthorizationConfiguration& authorization = configuration.authorization;
  for (const std::string& path : authorization.policy_files) {
    for (const std::string& file : files_at(path)) {
      for (PolicySource& policy : parse_policies(read_text(file), file)) {
        for (const PolicySource& other : authorization.policies) {
          if (other.name == policy.name) {
            throw ConfigurationError(file + ":" + std::to_string(policy.line) +
                                     ": there is a policy \"" + policy.name + "\" already, at " +
                                     other.file + ":" + std::to_string(other.line));
          }
        }
        authorization.policies.push_back(std::move(policy));
      }
    }
  }
  check_references(configuration);
}

std::string policies_text(const std::vector<PolicySource>& policies, const std::string& indent) {
  std::string text;
  for (const PolicySource& policy : policies) {
    text += indent + quoted(policy.name) + ":\n";
    if (!policy.description.empty()) {
      text += indent + "  description: " + quoted(policy.description) + "\n";
    }
    if (policy.base) {
      text += indent + "  base: " + auth::policy_text(*policy.base, {}) + "\n";
    }
    text += indent + "  rules:\n";
    for (const PolicyRule& rule : policy.rules) {
      std::string actions;
      for (const plugin::Action action : rule.actions) {
        actions += (actions.empty() ? "" : ", ") + std::string(auth::name_of(action));
      }
      text += indent + "    - name: " + quoted(rule.name) + "\n" + indent +
              "      effect: " + (rule.effect == auth::Effect::allow ? "allow" : "deny") + "\n" +
              indent + "      actions: [" + actions + "]\n" + indent +
              "      topics: " + list_text(rule.topics) + "\n";
      if (!rule.when.empty()) {
        text += condition_text(rule.when, indent + "      ");
      }
    }
  }
  return text;
}

}  // namespace skerry::app
