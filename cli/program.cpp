// The words of the command line, parsed and handed to the commands.
#include "cli/program.hpp"

#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <map>

#include "cli/command_line.hpp"
#include "cli/failure.hpp"
#include "cli/file.hpp"

namespace skerry::cli {
namespace {

/// What every command knows.
struct CommonWords {
  std::string config = default_settings_path();
  std::string server;
  std::string token;
  std::string ca_file;
  Output output = Output::table;
  bool quiet = false;
};

void add_common_flags(CLI::App& app, CommonWords& words) {
  app.add_option("--config", words.config, "File with server, token and CA")->capture_default_str();
  app.add_option("--server", words.server, "URL of the admin API")->envname("SKERRY_SERVER");
  app.add_option("--token", words.token, "API token instead of the saved one")
      ->envname("SKERRY_TOKEN");
  app.add_option("--ca", words.ca_file, "CA certificate of the server, in PEM");
  static const std::map<std::string, Output> outputs{{"table", Output::table},
                                                     {"json", Output::json},
                                                     {"yaml", Output::yaml},
                                                     {"csv", Output::csv}};
  app.add_option("-o,--output", words.output, "table, json, yaml or csv")
      ->transform(CLI::CheckedTransformer(outputs).description("{table,json,yaml,csv}"));
  app.add_flag("-q,--quiet", words.quiet, "Lists give ids alone; what was done is not told");
}

void add_commands(CommandLine& line) {
  add_login_commands(line);
  add_device_commands(line);
  add_transfer_commands(line);
  add_certificate_commands(line);
  add_client_commands(line);
  add_enroll_commands(line);
  add_telemetry_commands(line);
  add_token_commands(line);
  add_policy_commands(line);
  add_audit_commands(line);
  add_backup_commands(line);
  add_completion_commands(line);
}

/// The saved settings with the flags of this call over them.
Settings settings_of(const CommonWords& words) {
  Settings settings = load_settings(words.config);
  if (!words.server.empty()) {
    settings.server = words.server;
  }
  if (!words.token.empty()) {
    settings.token = words.token;
  }
  if (!words.ca_file.empty()) {
    settings.ca_pem = read_file(words.ca_file, "the CA file");
  }
  return settings;
}

/// The shell asks what may follow; flags among the words may be half-written and are only looked
/// at.
int answer_shell(const CLI::App& app, const std::vector<std::string>& words, Session& session) {
  CommonWords common;
  for (std::size_t index = 0; index + 1 < words.size(); ++index) {
    if (words[index] == "--config") {
      common.config = words[index + 1];
    } else if (words[index] == "--server") {
      common.server = words[index + 1];
    }
  }
  try {
    session.settings = settings_of(common);
  } catch (const Failure&) {
    session.settings = {};  // commands and flags are known without a server
  }
  complete(session, app, words);
  return 0;
}

bool is_terminal(const std::ostream& stream, const std::ostream& standard, int descriptor) {
  return &stream == &standard && isatty(descriptor) == 1;
}

}  // namespace

int run(const std::vector<std::string>& words, std::istream& in, std::ostream& out,
        std::ostream& err) {
  CLI::App app{"skerryctl: operate a Skerry gateway", "skerryctl"};
  app.require_subcommand(1);
  app.fallthrough();
  CommonWords common;
  add_common_flags(app, common);
  CommandLine line{app};
  add_commands(line);
  Session session{in, out, err, {}, common.config};
  session.terminal_out = is_terminal(out, std::cout, STDOUT_FILENO);
  session.terminal_err = is_terminal(err, std::cerr, STDERR_FILENO);
  if (!words.empty() && words.front() == "__complete") {
    return answer_shell(app, {words.begin() + 1, words.end()}, session);
  }
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? 0 : exit_usage;
  }
  try {
    session.settings = settings_of(common);
    session.settings_path = common.config;
    session.ca_given = !common.ca_file.empty();
    session.output = common.output;
    session.quiet = common.quiet;
    line.chosen()(session);
    out.flush();
    return 0;
  } catch (const Failure& failure) {
    out.flush();
    err << "skerryctl: " << failure.what() << '\n';
    return failure.exit_code;
  } catch (const std::exception& exception) {
    err << "skerryctl: the server answered something unexpected: " << exception.what() << '\n';
    return exit_failure;
  }
}

}  // namespace skerry::cli
