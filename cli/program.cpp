// The words of the command line, parsed and handed to commands.hpp.
#include "cli/program.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdlib>
#include <functional>
#include <map>
#include <ostream>

#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/file.hpp"

namespace skerry::cli {
namespace {

/// Everything that words can say. It lives until the chosen command has run.
struct Words {
  std::string config = default_settings_path();
  std::string server;
  std::string token;
  std::string ca_file;
  Output output = Output::table;
  LoginOptions login;
  DeviceAddOptions add;
  EnrollOptions enroll;
  QueryOptions query;
  std::string id;
  std::function<void(Session&)> command;
};

void add_connection_options(CLI::App& app, Words& words) {
  app.add_option("--config", words.config, "File with server, token and CA")->capture_default_str();
  app.add_option("--server", words.server, "URL of the admin API")->envname("SKERRY_SERVER");
  app.add_option("--token", words.token, "API token instead of the saved one")
      ->envname("SKERRY_TOKEN");
  app.add_option("--ca", words.ca_file, "CA certificate of the server, in PEM");
  static const std::map<std::string, Output> outputs{{"table", Output::table},
                                                     {"json", Output::json}};
  app.add_option("-o,--output", words.output, "table or json")
      ->transform(CLI::CheckedTransformer(outputs).description("{table,json}"));
}

void add_login(CLI::App& app, Words& words) {
  CLI::App* login_words = app.add_subcommand("login", "Get a token and save it for later commands");
  login_words->add_option("--user", words.login.user, "User name")->capture_default_str();
  login_words->add_option("--password", words.login.password,
                          "Password; default: $SKERRY_PASSWORD, then standard input");
  login_words->add_option("--data-dir", words.login.data_dir,
                          "The server's data directory, for its root certificate");
  login_words->add_option("--expires-in", words.login.expires_in_seconds,
                          "Seconds the token is valid");
  login_words->callback([&words] {
    words.command = [&words](Session& session) {
      words.login.server = words.server;
      words.login.ca_file = words.ca_file;
      login(session, words.login);
    };
  });
  app.add_subcommand("token", "Print the saved token, for curl and others")->callback([&words] {
    words.command = [](Session& session) {
      if (session.settings.token.empty()) {
        throw Failure("log in first: skerryctl login --help", exit_usage);
      }
      session.out << session.settings.token << '\n';
    };
  });
}

void add_devices(CLI::App& app, Words& words) {
  CLI::App* devices = app.add_subcommand("devices", "The registry of devices")->fallthrough();
  devices->require_subcommand(1);
  CLI::App* add = devices->add_subcommand("add", "Register a device by its key")->fallthrough();
  add->add_option("id", words.add.id, "Device id")->required();
  add->add_option("--key", words.add.key_files,
                  "Private key, public key or certificate in PEM; only its fingerprint is sent")
      ->allow_extra_args(false);
  add->add_option("--fingerprint", words.add.fingerprints, "SHA-256 of the public key, 64 digits")
      ->allow_extra_args(false);
  add->add_option("--generate", words.add.generate_directory, "Make a key DIR/ID.key");
  add->callback([&words] {
    words.command = [&words](Session& session) { devices_add(session, words.add); };
  });
  devices->add_subcommand("list", "List all devices")->fallthrough()->callback([&words] {
    words.command = &devices_list;
  });
  CLI::App* show = devices->add_subcommand("show", "Show one device")->fallthrough();
  show->add_option("id", words.id, "Device id")->required();
  show->callback([&words] {
    words.command = [&words](Session& session) { devices_show(session, words.id); };
  });
  CLI::App* erase =
      devices->add_subcommand("delete", "Remove a device and end its sessions")->fallthrough();
  erase->add_option("id", words.id, "Device id")->required();
  erase->callback([&words] {
    words.command = [&words](Session& session) { devices_delete(session, words.id); };
  });
}

void add_device(CLI::App& app, Words& words) {
  CLI::App* device = app.add_subcommand("device", "What a device does itself")->fallthrough();
  device->require_subcommand(1);
  CLI::App* enroll =
      device->add_subcommand("enroll", "Get a certificate for a registered key")->fallthrough();
  enroll->add_option("id", words.enroll.id, "Device id")->required();
  enroll->add_option("--key", words.enroll.key_file, "Private key in PEM; it is not sent")
      ->required();
  enroll->add_option("--out", words.enroll.directory, "Where ID.crt and ca.crt go")
      ->capture_default_str();
  enroll->add_option("--est", words.enroll.est, "URL of the enrolment server");
  enroll->callback([&words] {
    words.command = [&words](Session& session) { device_enroll(session, words.enroll); };
  });
}

void add_telemetry(CLI::App& app, Words& words) {
  CLI::App* telemetry = app.add_subcommand("telemetry", "What devices have sent")->fallthrough();
  telemetry->require_subcommand(1);
  CLI::App* latest = telemetry->add_subcommand("latest", "Last value of each key")->fallthrough();
  latest->add_option("id", words.id, "Device id")->required();
  latest->callback([&words] {
    words.command = [&words](Session& session) { telemetry_latest(session, words.id); };
  });
  CLI::App* query = telemetry->add_subcommand("query", "Values of a range of time")->fallthrough();
  query->add_option("id", words.query.id, "Device id")->required();
  query->add_option("--key", words.query.keys, "Key; may be given more than once")
      ->allow_extra_args(false);
  query->add_option("--from", words.query.from, "First instant: RFC 3339, or relative like -1h");
  query->add_option("--to", words.query.to, "Instant behind the last one, or now");
  query->add_option("--order", words.query.order, "asc or desc");
  query->add_option("--limit", words.query.limit, "At most so many samples");
  query->callback([&words] {
    words.command = [&words](Session& session) { telemetry_query(session, words.query); };
  });
}

/// The saved settings with the flags of this call over them.
Settings settings_of(const Words& words) {
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

}  // namespace

int run(const std::vector<std::string>& words, std::istream& in, std::ostream& out,
        std::ostream& err) {
  CLI::App app{"skerryctl: operate a Skerry gateway", "skerryctl"};
  app.require_subcommand(1);
  app.fallthrough();
  Words parsed;
  add_connection_options(app, parsed);
  add_login(app, parsed);
  add_devices(app, parsed);
  add_device(app, parsed);
  add_telemetry(app, parsed);
  for (CLI::App* command : app.get_subcommands({})) {
    command->fallthrough();
  }
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? 0 : exit_usage;
  }
  try {
    Session session{in, out, err, settings_of(parsed), parsed.config, parsed.output};
    parsed.command(session);
    out.flush();
    return 0;
  } catch (const Failure& failure) {
    err << "skerryctl: " << failure.what() << '\n';
    return failure.exit_code;
  } catch (const std::exception& exception) {
    err << "skerryctl: the server answered something unexpected: " << exception.what() << '\n';
    return exit_failure;
  }
}

}  // namespace skerry::cli
