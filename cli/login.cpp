// login: a password for a token that later commands use.
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "cli/api.hpp"
#include "cli/command_line.hpp"
#include "cli/failure.hpp"
#include "cli/file.hpp"
#include "cli/output.hpp"

namespace skerry::cli {
namespace {

struct LoginOptions {
  std::string user = "admin";
  std::string password;  ///< empty: $SKERRY_PASSWORD, then asked for
  std::string data_dir;  ///< the server's, for its ca/root.crt
  std::int64_t expires_in_seconds = 30 * 86400;
};

constexpr const char* default_server = "https://127.0.0.1:8443";
/// Where a server that was started in this directory keeps its root certificate.
constexpr const char* default_data_dir = "skerry-data";

std::string root_certificate_of(const std::string& data_dir) {
  return data_dir + "/ca/root.crt";
}

/// --ca, --data-dir, ./skerry-data, then what an earlier login has saved.
std::string find_ca(const Session& session, const LoginOptions& options) {
  if (session.ca_given) {
    return session.settings.ca_pem;
  }
  if (!options.data_dir.empty()) {
    return read_file(root_certificate_of(options.data_dir), "the server's root certificate");
  }
  const std::string nearby = root_certificate_of(default_data_dir);
  std::error_code ignored;
  if (std::filesystem::exists(nearby, ignored)) {
    return read_file(nearby, "the server's root certificate");
  }
  if (!session.settings.ca_pem.empty()) {
    return session.settings.ca_pem;
  }
  throw Failure(
      "the server's root certificate is needed: --data-dir DIR of the server, or --ca FILE",
      exit_usage);
}

/// Reads a line without showing it when a person types it.
std::string ask_password(Session& session) {
  const bool at_terminal = &session.in == &std::cin && isatty(STDIN_FILENO) == 1;
  termios shown{};
  if (at_terminal && tcgetattr(STDIN_FILENO, &shown) == 0) {
    session.err << "Password: " << std::flush;
    termios hidden = shown;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  }
  std::string password;
  std::getline(session.in, password);
  if (at_terminal) {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    session.err << '\n';
  }
  if (password.ends_with('\r')) {
    password.pop_back();
  }
  return password;
}

/// What the server of a data directory on this machine has written at its first start, for those
/// who may read it; empty when there is none.
std::string initial_password(const LoginOptions& options) {
  const std::string data_dir = options.data_dir.empty() ? default_data_dir : options.data_dir;
  const std::string path = data_dir + "/initial-admin-password";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return {};
  }
  std::string password = read_file(path, "the initial password");
  while (password.ends_with('\n')) {
    password.pop_back();
  }
  return password;
}

std::string find_password(Session& session, const LoginOptions& options) {
  std::string password = options.password;
  if (const char* variable = std::getenv("SKERRY_PASSWORD"); password.empty() && variable) {
    password = variable;
  }
  if (password.empty()) {
    password = initial_password(options);
  }
  if (password.empty()) {
    password = ask_password(session);
  }
  if (password.empty()) {
    throw Failure("a password is needed: --password, SKERRY_PASSWORD or standard input",
                  exit_usage);
  }
  return password;
}

std::string name_of_this_token() {
  char host[64] = "";
  gethostname(host, sizeof host - 1);
  return "skerryctl on " + std::string{host};
}

void login(Session& session, const LoginOptions& options) {
  Settings settings = session.settings;
  if (settings.server.empty()) {
    settings.server = default_server;
  }
  settings.ca_pem = find_ca(session, options);
  settings.token.clear();
  boost::json::value wish = boost::json::object{
      {"user", options.user},
      {"password", find_password(session, options)},
      {"name", name_of_this_token()},
      {"expiresIn", options.expires_in_seconds},
  };
  const boost::json::value answer = Api{settings}.call("POST", "/api/v1/tokens", &wish);
  const boost::json::object& token = answer.as_object();
  settings.token = cell(token.if_contains("token"));
  save_settings(session.settings_path, settings);
  session.out << "Logged in to " << settings.server << " as " << visible(options.user) << " until "
              << cell(token.if_contains("expiresAt")) << "; saved in " << session.settings_path
              << '\n';
}

struct NoOptions {};

void print_token(Session& session, const NoOptions&) {
  if (session.settings.token.empty()) {
    throw Failure("log in first: skerryctl login --help", exit_usage);
  }
  session.out << session.settings.token << '\n';
}

}  // namespace

void add_login_commands(CommandLine& line) {
  const auto options = std::make_shared<LoginOptions>();
  CLI::App& login_words =
      line.add(line.app(), "login", "Get a token and save it for later commands", options, &login);
  login_words.add_option("--user", options->user, "User name")->capture_default_str();
  login_words.add_option("--password", options->password,
                         "Password; default: $SKERRY_PASSWORD, then standard input");
  login_words.add_option("--data-dir", options->data_dir,
                         "The server's data directory, for its root certificate");
  login_words.add_option("--expires-in", options->expires_in_seconds, "Seconds the token is valid");
  line.add(line.app(), "token", "Print the saved token, for curl and others",
           std::make_shared<NoOptions>(), &print_token);
}

}  // namespace skerry::cli
