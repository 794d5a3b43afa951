// skerryd: the server program. Reads the command line and the configuration, then hands over to
// Application. Exit codes: 0 stopped in order, 1 could not start or go on, 2 wrong command line or
// configuration.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "app/application.hpp"
#include "app/configuration.hpp"
#include "app/core_count.hpp"
#include "app/log.hpp"

namespace {

constexpr int exit_failure = 1;
constexpr int exit_usage = 2;

struct Arguments {
  std::string configuration_path;
  bool check_configuration = false;
  bool print_default_configuration = false;
  bool reset_admin_password = false;
};

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

int complain(const std::exception& error, int code) {
  std::fprintf(stderr, "skerryd: %s\n", error.what());
  return code;
}

void describe(CLI::App& program, Arguments& arguments) {
  program.add_option("--config", arguments.configuration_path, "configuration file (YAML)");
  program.add_flag("--check-config", arguments.check_configuration,
                   "read the configuration, say what is wrong with it, and exit");
  program.add_flag("--print-default-config", arguments.print_default_configuration,
                   "print what holds without a configuration file, and exit");
  program.add_flag("--reset-admin-password", arguments.reset_admin_password,
                   "give the user admin a new password and print it");
  program.set_version_flag("--version", "skerryd " + skerry::app::version());
}

int serve(const Arguments& arguments, const skerry::app::Configuration& configuration) {
  skerry::app::raise_file_limit();
  skerry::app::Log log(configuration.log);
  const auto run = [&] {
    skerry::app::Application application(
        {configuration, arguments.configuration_path, arguments.reset_admin_password}, log);
    application.start();
    print(application.welcome());
    application.run();
  };
  try {
    run();
  } catch (const skerry::app::StoreDamaged& error) {
    log.error("store_damaged", error.what());
    run();  // sets aside what is damaged
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App program("Skerry: secure device management at the edge, the server");
  Arguments arguments;
  describe(program, arguments);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : exit_usage;
  }
  try {
    if (arguments.print_default_configuration) {
      print(skerry::app::configuration_text(skerry::app::default_configuration()));
      return 0;
    }
    const auto configuration = arguments.configuration_path.empty()
                                   ? skerry::app::default_configuration()
                                   : skerry::app::load_configuration(arguments.configuration_path);
    if (arguments.check_configuration) {
      print("the configuration is valid\n");
      return 0;
    }
    return serve(arguments, configuration);
  } catch (const skerry::app::ConfigurationError& error) {
    return complain(error, exit_usage);
  } catch (const std::exception& error) {
    return complain(error, exit_failure);
  }
}
