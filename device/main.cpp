// skerry-agent: the command line. Exit codes: 0 stopped in order, 1 could not start or go on, 2
// wrong command line or configuration.
#include <malloc.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

#include "device/agent.hpp"

namespace {

constexpr int exit_failure = 1;
constexpr int exit_usage = 2;

struct Arguments {
  std::string configuration_path = "/etc/skerry-agent/agent.yaml";
  bool check_configuration = false;
  bool show_key = false;
};

void describe(CLI::App& program, Arguments& arguments) {
  program.add_option("--config", arguments.configuration_path, "configuration file (YAML)")
      ->capture_default_str();
  program.add_flag("--check-config", arguments.check_configuration,
                   "read the configuration, say what is wrong with it, and exit");
  program.add_flag("--show-key", arguments.show_key,
                   "print the device's id and the SHA-256 of its public key, and exit; makes the "
                   "key if there is none");
  program.set_version_flag("--version", std::string{"skerry-agent "} + SKERRY_VERSION);
}

void show_key(const skerry::agent::Configuration& configuration) {
  const auto lock = skerry::agent::lock_state(configuration.state_dir);
  skerry::agent::IdentityStore identity{configuration.state_dir, configuration.device};
  std::printf("%s %s\n", configuration.device.c_str(), identity.key().fingerprint().c_str());
}

void serve(const skerry::agent::Configuration& configuration, const Arguments& arguments) {
  std::signal(SIGPIPE, SIG_IGN);
  // Paho's threads would each get an arena of their own, which a small device has no memory for.
  mallopt(M_ARENA_MAX, 1);
  boost::asio::io_context loop{1};
  skerry::agent::Agent agent{loop, configuration, arguments.configuration_path};
  agent.run();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App program("Skerry: secure device management at the edge, the agent on the device");
  Arguments arguments;
  describe(program, arguments);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : exit_usage;
  }
  umask(0077);
  try {
    const auto configuration = skerry::agent::read_configuration(arguments.configuration_path);
    if (arguments.check_configuration) {
      std::puts("the configuration is fine");
    } else if (arguments.show_key) {
      show_key(configuration);
    } else {
      serve(configuration, arguments);
    }
    return 0;
  } catch (const skerry::agent::ConfigurationError& error) {
    std::fprintf(stderr, "skerry-agent: %s\n", error.what());
    return exit_usage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "skerry-agent: %s\n", error.what());
    return exit_failure;
  }
}
