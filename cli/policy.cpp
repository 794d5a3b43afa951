// policy list, show, explain, and system reload.
#include <boost/json/array.hpp>

#include "cli/api.hpp"
#include "cli/command_line.hpp"
#include "cli/failure.hpp"
#include "cli/list.hpp"

namespace skerry::cli {
namespace {

struct NoOptions {};

struct ShowOptions {
  std::string name;
};

struct ExplainOptions {
  std::string device;
  std::string service;
  std::string action;
  std::string topic;
  std::string policy;
  std::string listener;
};

void policy_list(Session& session, const NoOptions&) {
  print_list(session, {"/api/v1/policies?limit=500",
                       {{"NAME", "name"},
                        {"BASE", "base"},
                        {"RULES", "rules",
                         [](const boost::json::object& policy) {
                           return std::to_string(policy.at("rules").as_array().size());
                         }},
                        {"FILE", "file"},
                        {"LINE", "line"},
                        {"DESCRIPTION", "description"}},
                       "name"});
}

void policy_show(Session& session, const ShowOptions& options) {
  const boost::json::value answer =
      Api{session.settings}.call("GET", "/api/v1/policies/" + percent_encode(options.name));
  const boost::json::object& policy = answer.as_object();
  std::vector<Row> rows;
  for (const char* name : {"name", "description", "base", "file", "line"}) {
    rows.push_back({name, cell(policy.if_contains(name))});
  }
  for (const boost::json::value& item : policy.at("rules").as_array()) {
    const boost::json::object& rule = item.as_object();
    rows.push_back({"rule " + cell(rule.if_contains("name")),
                    cell(rule.if_contains("effect")) + " " + cell(rule.if_contains("actions")) +
                        " on " + cell(rule.if_contains("topics"))});
  }
  print_object(session, answer, rows);
}

/// The sentence first, then each rule with what became of it.
std::vector<Row> explanation_rows(const boost::json::object& told) {
  std::vector<Row> rows;
  for (const char* name : {"decision", "rule", "policy", "file", "line", "coversFilter"}) {
    rows.push_back({name, cell(told.if_contains(name))});
  }
  for (const boost::json::value& item : told.at("rules").as_array()) {
    const boost::json::object& rule = item.as_object();
    std::string text = cell(rule.if_contains("effect")) + ": " + cell(rule.if_contains("outcome"));
    if (!rule.at("topic").is_null()) {
      text += "; " + cell(rule.if_contains("topic"));
    }
    if (!rule.at("expansion").is_null() && rule.at("expansion") != rule.at("topic")) {
      text += " is " + cell(rule.if_contains("expansion"));
    }
    rows.push_back({"rule " + cell(rule.if_contains("name")) + " (line " +
                        cell(rule.if_contains("line")) + ")",
                    text});
  }
  return rows;
}

void policy_explain(Session& session, const ExplainOptions& options) {
  if (options.device.empty() == options.service.empty()) {
    throw Failure("name either a --device or a --service", exit_usage);
  }
  boost::json::object question{{"action", options.action}, {"topic", options.topic}};
  for (const auto& [name, text] : {std::pair{"device", &options.device},
                                   {"service", &options.service},
                                   {"policy", &options.policy},
                                   {"listener", &options.listener}}) {
    if (!text->empty()) {
      question[name] = *text;
    }
  }
  const boost::json::value body = std::move(question);
  const boost::json::value answer =
      Api{session.settings}.call("POST", "/api/v1/policies:explain", &body);
  print_object(session, answer, explanation_rows(answer.as_object()));
}

void system_reload(Session& session, const NoOptions&) {
  Api{session.settings}.call("POST", "/api/v1/system:reload");
  print_done(session, "Reloaded log level, certificates, policies and issuers of tokens");
}

}  // namespace

void add_policy_commands(CommandLine& line) {
  CLI::App& policy = line.group("policy", "Named policies and what they decide");
  line.add(policy, "list", "List named policies", std::make_shared<NoOptions>(), &policy_list);
  const auto show = std::make_shared<ShowOptions>();
  line.add(policy, "show", "Show the rules of a policy", show, &policy_show)
      .add_option("name", show->name, "Name of the policy")
      ->required();

  const auto explain = std::make_shared<ExplainOptions>();
  CLI::App& words =
      line.add(policy, "explain", "Tell what is decided for a client, and by which rule", explain,
               &policy_explain);
  words.add_option("--device", explain->device, "Device id");
  words.add_option("--service", explain->service, "Name of a service");
  words.add_option("--action", explain->action, "publish, subscribe or receive")->required();
  words.add_option("--topic", explain->topic, "Topic name; for subscribe a filter")->required();
  words.add_option("--policy", explain->policy, "A policy in place of the one that would count");
  words.add_option("--listener", explain->listener,
                   "Where the device comes in; default: the first with certificates");

  CLI::App& system = line.group("system", "The gateway itself");
  line.add(system, "reload", "Read policies, issuers and certificates again",
           std::make_shared<NoOptions>(), &system_reload);
}

}  // namespace skerry::cli
