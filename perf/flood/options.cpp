#include "options.hpp"

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "failure.hpp"

namespace skerry::flood {

Options read_options(int argument_count, char** arguments) {
  Options options;
  std::string url = "mqtt://127.0.0.1:1883";
  CLI::App app("Healthy clients, or one kind of flood, against a broker on this machine.",
               "skerry-flood");
  app.add_option("mode", options.mode, "healthy, reset, tls, slow or storm")
      ->required()
      ->check(CLI::IsMember({"healthy", "reset", "tls", "slow", "storm"}));
  app.add_option("-u,--url", url, "mqtt://127.0.0.1:port or mqtts://127.0.0.1:port");
  app.add_option("--ca", options.server.tls.ca, "PEM file of who signed the server's certificate");
  app.add_option("--certificate", options.server.tls.certificate, "PEM chain of every client");
  app.add_option("--private-key", options.server.tls.private_key, "its key");
  app.add_option("--seconds", options.seconds, "how long")->check(CLI::Range(0.1, 86'400.0));
  app.add_option("--rate", options.rate, "attempts, or messages of the healthy, a second")
      ->check(CLI::Range(0.1, 1e6));
  app.add_option("--count", options.count, "clients of healthy and storm, sockets of slow")
      ->check(CLI::Range(2u, 1'000'000u));
  app.add_option("--hosts", options.hosts, "addresses 127.0.0.x that they come from")
      ->check(CLI::Range(1u, 250u));
  app.add_option("--name", options.name, "begins their client identifiers");
  app.add_flag("--durable", options.durable, "healthy: subscribers with sessions that stay");
  try {
    app.parse(argument_count, arguments);
    options.server.endpoint = bench::parse_endpoint(url);
    options.server.endpoint.host = "localhost";  // as the certificate says
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  } catch (const bench::Failure& failure) {
    std::fprintf(stderr, "skerry-flood: %s\n", failure.what());
    std::exit(2);
  }
  return options;
}

}  // namespace skerry::flood
