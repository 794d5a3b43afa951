#include "app/configuration_access.hpp"

#include <algorithm>

#include "app/configuration_policies.hpp"
#include "app/configuration_value.hpp"
#include "auth/device.hpp"

namespace skerry::app {

namespace {

/// Ten years.
constexpr std::int64_t max_life_milliseconds = 10 * 366 * std::int64_t{24} * 3600 * 1000;

void require(const Section& section, const YAML::Node& node, std::string_view key) {
  if (!section.value(key)) {
    section.fail(node, section.qualified(key) + " is missing");
  }
}

IssuerConfiguration read_issuer(const std::string& file, std::size_t index,
                                const YAML::Node& node) {
  const Section section(file, "authentication.issuers[" + std::to_string(index) + "]", node,
                        {"name", "issuer", "audience", "keys", "leeway", "max_life",
                         "service_claim", "service_prefix", "policy", "policy_claim", "policies"});
  IssuerConfiguration issuer;
  issuer.line = static_cast<unsigned>(std::max(node.Mark().line, 0) + 1);
  for (const std::string_view key : {"name", "issuer", "audience", "keys"}) {
    require(section, node, key);
  }
  section.read("name", issuer.name);
  section.read("issuer", issuer.issuer);
  section.read("audience", issuer.audience);
  section.read("keys", issuer.keys);
  section.read("service_claim", issuer.service_claim);
  section.read("service_prefix", issuer.service_prefix);
  section.read("policy", issuer.policy);
  section.read("policy_claim", issuer.policy_claim);
  section.read("policies", issuer.policies);
  issuer.leeway = std::chrono::duration_cast<std::chrono::seconds>(
      section.read_duration("leeway", issuer.leeway, {0, 600'000}));
  issuer.max_life = std::chrono::duration_cast<std::chrono::seconds>(
      section.read_duration("max_life", issuer.max_life, {60'000, max_life_milliseconds}));
  if (issuer.service_prefix.empty() && !auth::is_valid_device_id(issuer.name)) {
    section.fail(node, section.qualified("name") +
                           " must be like the id of a device, since it becomes part of the names "
                           "of services, or service_prefix be set");
  }
  if (issuer.policy_claim.empty() != issuer.policies.empty()) {
    section.fail(node, section.qualified("policy_claim") +
                           " and policies belong together: the claim may name only what is listed "
                           "in policies");
  }
  return issuer;
}

void read_authentication(const Section& top, AuthenticationConfiguration& authentication) {
  const YAML::Node node = top.value("authentication");
  if (!node) {
    return;
  }
  const Section section(top.file(), "authentication", node, {"issuers"});
  const YAML::Node issuers = section.value("issuers");
  if (!issuers) {
    return;
  }
  if (!issuers.IsSequence() || issuers.size() > jwt_issuers_max) {
    section.fail(issuers, "authentication.issuers must be a list of at most " +
                              std::to_string(jwt_issuers_max) + " issuers");
  }
  for (const auto& each : issuers) {
    IssuerConfiguration issuer = read_issuer(top.file(), authentication.issuers.size(), each);
    for (const IssuerConfiguration& other : authentication.issuers) {
      if (other.name == issuer.name || other.issuer == issuer.issuer) {
        section.fail(
            each, "there are two issuers with the name or the issuer of \"" + issuer.name + "\"");
      }
    }
    authentication.issuers.push_back(std::move(issuer));
  }
}

void read_authorization(const Section& top, AuthorizationConfiguration& authorization) {
  const YAML::Node node = top.value("authorization");
  if (!node) {
    return;
  }
  const Section section(top.file(), "authorization", node,
                        {"on_revocation", "policy_files", "policies"});
  section.read_choice<OnRevocation>("on_revocation", authorization.on_revocation,
                                    {{"drop", OnRevocation::drop}, {"keep", OnRevocation::keep}});
  section.read("policy_files", authorization.policy_files);
  if (authorization.policy_files.size() > policy_files_max) {
    section.fail(section.value("policy_files"), "authorization.policy_files names too many");
  }
  if (const YAML::Node policies = section.value("policies")) {
    read_policies(top.file(), "authorization.policies", policies, authorization.policies);
  }
}

std::string list_text(const std::vector<std::string>& words) {
  std::string text = "[";
  for (const std::string& word : words) {
    text += (text.size() > 1 ? ", " : "") + quoted(word);
  }
  return text + "]";
}

std::string issuer_text(const IssuerConfiguration& issuer) {
  std::string text =
      "    - name: " + quoted(issuer.name) + "\n      issuer: " + quoted(issuer.issuer) +
      "\n      audience: " + quoted(issuer.audience) + "\n      keys: " + quoted(issuer.keys) +
      "\n      leeway: " + format_duration(issuer.leeway) +
      "\n      max_life: " + format_duration(issuer.max_life) +
      "\n      service_claim: " + quoted(issuer.service_claim) +
      "\n      policy: " + quoted(issuer.policy) + "\n";
  if (!issuer.service_prefix.empty()) {
    text += "      service_prefix: " + quoted(issuer.service_prefix) + "\n";
  }
  if (!issuer.policy_claim.empty()) {
    text += "      policy_claim: " + quoted(issuer.policy_claim) +
            "\n      policies: " + list_text(issuer.policies) + "\n";
  }
  return text;
}

}  // namespace

void read_access(const Section& top, Configuration& configuration) {
  read_authentication(top, configuration.authentication);
  read_authorization(top, configuration.authorization);
}

std::string access_text(const Configuration& configuration) {
  std::string text =
      "# who signs tokens (JWT) of services; keys: a file with PEM or a JWK Set\n"
      "authentication:\n  issuers:";
  text += configuration.authentication.issuers.empty() ? " []\n" : "\n";
  for (const IssuerConfiguration& issuer : configuration.authentication.issuers) {
    text += issuer_text(issuer);
  }
  text +=
      "\n# policies by name, here or in files and directories (*.yaml) of their own\n"
      "authorization:\n"
      "  # the queue of a device that is suspended or whose certificate is revoked: drop, keep\n"
      "  on_revocation: " +
      std::string(configuration.authorization.on_revocation == OnRevocation::drop ? "drop"
                                                                                  : "keep") +
      "\n  policy_files: " + list_text(configuration.authorization.policy_files) + "\n  policies:";
  if (configuration.authorization.policies.empty()) {
    return text + " {}\n";
  }
  return text + "\n" + policies_text(configuration.authorization.policies, "    ");
}

}  // namespace skerry::app
