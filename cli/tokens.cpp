// tokens create, list, delete; services set-password, delete-password.
#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>
#include <optional>
#include <ostream>

#include "cli/api.hpp"
#include "cli/command_line.hpp"
#include "cli/failure.hpp"
#include "cli/list.hpp"

namespace skerry::cli {
namespace {

struct CreateOptions {
  std::string name = "token";
  std::vector<std::string> scopes;
  std::optional<std::int64_t> expires_in_seconds;
};

struct ListOptions {};

struct DeleteOptions {
  std::vector<std::string> ids;
};

struct PasswordOptions {
  std::string service;
  std::int64_t expires_in_seconds = 0;
};

void token_create(Session& session, const CreateOptions& options) {
  boost::json::object wish{{"name", options.name}};
  if (options.expires_in_seconds) {
    wish["expiresIn"] = *options.expires_in_seconds;
  }
  if (!options.scopes.empty()) {
    wish["scopes"] = boost::json::value_from(options.scopes);
  }
  const boost::json::value body = std::move(wish);
  const boost::json::value answer = Api{session.settings}.call("POST", "/api/v1/tokens", &body);
  const boost::json::object& made = answer.as_object();
  if (session.quiet) {
    session.out << cell(made.if_contains("token")) << '\n';
    return;
  }
  print_object(session, answer, rows_of(made));
}

void token_list(Session& session, const ListOptions&) {
  print_list(session, {"/api/v1/tokens?limit=500",
                       {{"ID", "id"},
                        {"USER", "user"},
                        {"NAME", "name"},
                        {"SCOPES", "scopes"},
                        {"CREATED", "createdAt"},
                        {"EXPIRES", "expiresAt"}}});
}

void token_delete(Session& session, const DeleteOptions& options) {
  const Api api{session.settings};
  for (const std::string& id : options.ids) {
    api.call("DELETE", "/api/v1/tokens/" + percent_encode(id));
    print_done(session, "Deleted token " + visible(id));
  }
}

std::string password_target(const std::string& service) {
  return "/api/v1/services/" + percent_encode(service) + "/password";
}

void set_password(Session& session, const PasswordOptions& options) {
  boost::json::object wish;
  if (options.expires_in_seconds != 0) {
    wish["expiresIn"] = options.expires_in_seconds;
  }
  const boost::json::value body = std::move(wish);
  const boost::json::value answer =
      Api{session.settings}.call("PUT", password_target(options.service), &body);
  if (session.quiet) {
    session.out << cell(answer.as_object().if_contains("password")) << '\n';
    return;
  }
  print_object(session, answer, rows_of(answer.as_object()));
}

void delete_password(Session& session, const PasswordOptions& options) {
  Api{session.settings}.call("DELETE", password_target(options.service));
  print_done(session,
             "Took away the password of " + visible(options.service) + "; its sessions have ended");
}

}  // namespace

void add_token_commands(CommandLine& line) {
  CLI::App& tokens = line.group("tokens", "Tokens of the API");
  const auto create = std::make_shared<CreateOptions>();
  CLI::App& create_words = line.add(
      tokens, "create", "Make a token, which may do no more than yours", create, &token_create);
  create_words.add_option("--name", create->name, "What it is for")->capture_default_str();
  create_words
      .add_option("--scope", create->scopes,
                  "devices:read, telemetry:*, *:read, …; may be given more than once; "
                  "default: those of your token")
      ->allow_extra_args(false);
  create_words.add_option("--expires-in", create->expires_in_seconds,
                          "Seconds it is valid; default: 30 days, or as long as yours is");
  line.add(tokens, "list", "List tokens, without their texts", std::make_shared<ListOptions>(),
           &token_list);
  const auto erase = std::make_shared<DeleteOptions>();
  line.add(tokens, "delete", "Revoke tokens at once", erase, &token_delete)
      .add_option("id", erase->ids, "Ids of tokens")
      ->required();

  CLI::App& services = line.group("services", "Back-end services");
  const auto set = std::make_shared<PasswordOptions>();
  CLI::App& set_words =
      line.add(services, "set-password",
               "Have a password made for a service and show it this one time", set, &set_password);
  set_words.add_option("service", set->service, "Name of the service")->required();
  set_words.add_option("--expires-in", set->expires_in_seconds, "Seconds it is valid");
  const auto remove = std::make_shared<PasswordOptions>();
  line.add(services, "delete-password", "Take the password of a service away", remove,
           &delete_password)
      .add_option("service", remove->service, "Name of the service")
      ->required();
}

}  // namespace skerry::cli
