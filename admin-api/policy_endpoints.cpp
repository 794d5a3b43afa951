// /api/v1/policies: what the configuration says, and what it comes to for one client and one topic.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value_from.hpp>
#include <memory>

#include "admin-api/access.hpp"
#include "admin-api/audited.hpp"
#include "admin-api/rest.hpp"
#include "http/json_body.hpp"
#include "mqtt/topic.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;
using Shared = std::shared_ptr<AccessServices>;

constexpr std::size_t body_bytes_max = 128 * 1024;

std::string_view name_of(auth::Effect effect) {
  return effect == auth::Effect::allow ? "allow" : "deny";
}

boost::json::object json_of(const auth::PolicyCondition& when) {
  boost::json::object object;
  object["tags"] = boost::json::value_from(when.tags);
  object["model"] = boost::json::value_from(when.models);
  object["attributes"] = boost::json::value_from(when.attributes);
  return object;
}

boost::json::object json_of(const auth::PolicySource& policy) {
  boost::json::array rules;
  for (const auth::PolicyRule& rule : policy.rules) {
    boost::json::array actions;
    for (const plugin::Action action : rule.actions) {
      actions.emplace_back(auth::name_of(action));
    }
    boost::json::object item;
    item["name"] = rule.name;
    item["effect"] = name_of(rule.effect);
    item["actions"] = std::move(actions);
    item["topics"] = boost::json::value_from(rule.topics);
    item["when"] = json_of(rule.when);
    item["line"] = rule.line;
    rules.push_back(std::move(item));
  }
  boost::json::object object;
  object["name"] = policy.name;
  object["description"] = policy.description;
  object["base"] = policy.base ? boost::json::value(auth::policy_text(*policy.base, {})) : nullptr;
  object["file"] = policy.file;
  object["line"] = policy.line;
  object["rules"] = std::move(rules);
  return object;
}

awaitable<http::Response> list(Shared services, const http::Request& request) {
  const auto page = read_page(request, "policies");
  if (!page) {
    co_return page.error();
  }
  boost::json::array items;
  std::optional<std::string> next;
  for (const auth::PolicySource& policy : services->policies.list()) {
    if (policy.name <= page->after) {
      continue;
    }
    if (items.size() == page->limit) {
      next = encode_cursor("policies", items.back().at("name").as_string());
      break;
    }
    items.push_back(json_of(policy));
  }
  co_return page_response(request, std::move(items), next);
}

awaitable<http::Response> show(Shared services, const http::Request& request) {
  const auto policy = services->policies.find(request.parameters.at("name"));
  if (!policy) {
    co_return http::problem(404, "policy_not_found", "there is no policy of this name");
  }
  co_return http::json_response(json_of(*policy));
}

struct Question {
  plugin::Identity identity;
  plugin::Action action = plugin::Action::publish;
  std::string topic;
};

/// The text of an optional member; a value of another type is the problem to answer.
Result<std::string, http::Response> optional_text(const boost::json::object& body,
                                                  std::string_view name) {
  return body.contains(name) ? http::string_field(body, name)
                             : Result<std::string, http::Response>{std::string{}};
}

std::optional<http::Response> read_topic(const boost::json::object& body, Question& question) {
  auto action = http::string_field(body, "action");
  if (!action) {
    return std::move(action).error();
  }
  const auto known = auth::action_of(*action);
  if (!known) {
    return http::problem(422, "field_invalid", "\"action\" is publish, subscribe or receive",
                         "/action");
  }
  question.action = *known;
  auto topic = http::string_field(body, "topic");
  if (!topic) {
    return std::move(topic).error();
  }
  question.topic = *std::move(topic);
  const bool is_filter = question.action == plugin::Action::subscribe;
  const bool is_valid = is_filter ? mqtt::is_valid_topic_filter(question.topic)
                                  : mqtt::is_valid_topic_name(question.topic);
  if (!is_valid || !mqtt::is_valid_utf8(question.topic)) {
    return http::problem(422, "field_invalid",
                         is_filter ? "\"topic\" must be a topic filter"
                                   : "\"topic\" must be a topic name, without wildcards",
                         "/topic");
  }
  return std::nullopt;
}

/// Who, and judged by which policy: one that is named, or the one that would count.
std::optional<http::Response> read_identity(const AccessServices& services,
                                            const boost::json::object& body, Question& question) {
  auto device = optional_text(body, "device");
  auto service = optional_text(body, "service");
  auto policy = optional_text(body, "policy");
  auto listener = optional_text(body, "listener");
  for (auto* text : {&device, &service, &policy, &listener}) {
    if (!*text) {
      return std::move(*text).error();
    }
  }
  if (device->empty() == service->empty()) {
    return http::problem(422, "field_missing", "name either a \"device\" or a \"service\"",
                         "/device");
  }
  plugin::Identity& identity = question.identity;
  identity.kind = service->empty() ? plugin::IdentityKind::device : plugin::IdentityKind::service;
  identity.name = service->empty() ? *device : *service;
  if (!device->empty() && !services.registry.find(*device)) {
    return http::problem(404, "device_not_found", "there is no device of this id");
  }
  if (!policy->empty()) {
    if (!auth::builtin_policy(*policy) && !services.policies.contains(*policy)) {
      return http::problem(404, "policy_not_found", "there is no policy of this name");
    }
    auth::set_policy(identity, *policy);
    return std::nullopt;
  }
  if (!service->empty()) {
    const auto own = services.service_rights(*service);
    if (!own) {
      return http::problem(404, "service_not_found",
                           "there is no service of this name; name a \"policy\" for one that is "
                           "known by token");
    }
    auth::set_policy(identity, own->policy);
    return std::nullopt;
  }
  for (const AccessServices::ListenerPolicy& known : services.listeners) {
    if (listener->empty() || known.listener == *listener) {
      auth::set_policy(identity, known.policy);
      return std::nullopt;
    }
  }
  return http::problem(404, "listener_not_found", "there is no listener of this name");
}

boost::json::array json_of(const auth::Trace& trace) {
  boost::json::array rules;
  for (const auth::RuleTrace& rule : trace) {
    boost::json::object item;
    item["name"] = rule.name;
    item["line"] = rule.line;
    item["effect"] = name_of(rule.effect);
    item["topic"] =
        rule.topic.empty() ? boost::json::value(nullptr) : boost::json::value(rule.topic);
    item["expansion"] =
        rule.expansion.empty() ? boost::json::value(nullptr) : boost::json::value(rule.expansion);
    item["outcome"] = rule.outcome;
    rules.push_back(std::move(item));
  }
  return rules;
}

awaitable<http::Response> explain(Shared services, const http::Request& request) {
  const auto body = http::parse_json_object(request);
  if (!body) {
    co_return body.error();
  }
  if (auto refused = http::refuse_unknown_fields(
          *body, {"device", "service", "action", "topic", "policy", "listener"})) {
    co_return *std::move(refused);
  }
  Question question;
  if (auto refused = read_topic(*body, question)) {
    co_return *std::move(refused);
  }
  if (auto refused = read_identity(*services, *body, question)) {
    co_return *std::move(refused);
  }
  const auto found = services->policies.explain(question.identity, question.action, question.topic);
  boost::json::object answer;
  answer["decision"] = found.decision.allowed() ? "allow" : "deny";
  answer["coversFilter"] = found.decision.verdict == plugin::Verdict::allow_and_covers;
  answer["rule"] = found.decision.rule;
  answer["policy"] = found.policy;
  answer["file"] =
      found.file.empty() ? boost::json::value(nullptr) : boost::json::value(found.file);
  answer["line"] = found.line == 0 ? boost::json::value(nullptr) : boost::json::value(found.line);
  answer["rules"] = json_of(found.rules);
  co_return http::json_response(answer);
}

awaitable<http::Response> reload(Shared services, const http::Request& request) {
  const auto wrong = services->reload(actor_of(request));
  if (wrong) {
    co_return http::problem(422, "configuration_invalid",
                            "nothing was changed; the configuration says: " + *wrong);
  }
  co_return http::no_content();
}

}  // namespace

http::EndpointTable policy_endpoints(const Shared& services) {
  return {
      {"GET", "/api/v1/policies", http::Guard::token, 0,
       [services](const http::Request& request) { return list(services, request); }},
      {"GET", "/api/v1/policies/{name}", http::Guard::token, 0,
       [services](const http::Request& request) { return show(services, request); }},
      {"POST", "/api/v1/policies:explain", http::Guard::token, body_bytes_max,
       [services](const http::Request& request) { return explain(services, request); },
       "policies:read"},
      {"POST", "/api/v1/system:reload", http::Guard::token, 0,
       [services](const http::Request& request) { return reload(services, request); }},
  };
}

http::EndpointTable access_endpoints(AccessServices services) {
  const auto shared = std::make_shared<AccessServices>(std::move(services));
  http::EndpointTable table = audit_endpoints(shared);
  for (const auto& part : {policy_endpoints(shared), service_password_endpoints(shared)}) {
    table.insert(table.end(), part.begin(), part.end());
  }
  return table;
}

}  // namespace skerry::admin_api
