// skerry-bench: a load for any MQTT broker, one scenario a run. A table for people on standard
// output, or one JSON object with --json; progress on a terminal. Exit code 0: done; 1: the broker
// did wrong or went away; 2: the options make no sense.
#include <sys/resource.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <cstdio>
#include <iostream>

#include "failure.hpp"
#include "scenarios.hpp"

namespace {

using namespace skerry::bench;

struct Words {
  std::string url = "mqtt://127.0.0.1:1883";
  bool json = false;
  bool insecure = false;
};

void add_common(CLI::App& app, Common& common, Words& words) {
  app.add_option("-u,--url", words.url, "mqtt://host:port or mqtts://host:port")
      ->capture_default_str();
  app.add_option("--version-of-mqtt,-V", common.fleet.version, "4 (3.1.1) or 5")
      ->check(CLI::IsMember({4, 5}))
      ->capture_default_str();
  app.add_option("--seconds,-s", common.seconds, "how long to measure")
      ->check(CLI::Range(0.1, 86'400.0))
      ->capture_default_str();
  app.add_option("--warm-up", common.warm_up_seconds, "seconds before that")
      ->check(CLI::Range(0.0, 3'600.0))
      ->capture_default_str();
  app.add_option("--pid,-p", common.broker, "process of the broker on this machine, to look at");
  app.add_option("--client-prefix", common.client_prefix, "client ids are this and a number")
      ->capture_default_str();
  app.add_option("--user", common.user_name, "user name");
  app.add_option("--password", common.password, "password");
  app.add_option("--ca", common.fleet.tls.ca, "PEM file of who may sign the broker's certificate")
      ->check(CLI::ExistingFile);
  app.add_option("--certificate", common.fleet.tls.certificate, "PEM chain shown by every client")
      ->check(CLI::ExistingFile);
  app.add_option("--private-key", common.fleet.tls.private_key, "its key")
      ->check(CLI::ExistingFile);
  app.add_option("--certificates", common.fleet.tls.directory,
                 "directory with CLIENT-ID.crt and CLIENT-ID.key for each client")
      ->check(CLI::ExistingDirectory);
  app.add_flag("--insecure", words.insecure, "do not check the broker's certificate");
  app.add_flag("--json,-j", words.json, "one JSON object instead of a table");
}

void show_progress(const std::string& line) {
  std::fprintf(stderr, "\r\x1b[K%s", line.c_str());
  std::fflush(stderr);
}

/// As many descriptors as the system lets us have.
void raise_limits() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int run_scenario(const std::function<Report()>& run, bool json) {
  const bool on_terminal = ::isatty(STDERR_FILENO) == 1;
  try {
    const Report report = run();
    if (on_terminal) {
      show_progress("");
    }
    std::cout << (json ? boost::json::serialize(report.json()) + "\n" : report.table());
    return report.is_good() ? 0 : 1;
  } catch (const Failure& failure) {
    std::cerr << (on_terminal ? "\r\x1b[K" : "") << "skerry-bench: " << failure.what() << "\n";
    return 1;
  }
}

}  // namespace

int main(int count, char** words) {
  Common common;
  Words wishes;
  std::function<Report()> run;
  CLI::App app("Load for an MQTT broker.", "skerry-bench");
  app.require_subcommand(1);
  app.fallthrough();
  app.get_formatter()->column_width(34);
  add_common(app, common, wishes);
  add_scenarios(app, common, run);
  try {
    app.parse(count, words);
    common.fleet.endpoint = parse_endpoint(wishes.url);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const Failure& failure) {
    std::cerr << "skerry-bench: " << failure.what() << "\n";
    return 2;
  }
  common.fleet.tls.verifies = !wishes.insecure;
  if (::isatty(STDERR_FILENO) == 1) {
    common.progress = show_progress;
  }
  raise_limits();
  return run_scenario(run, wishes.json);
}
