// skerryd-lab: the server of skerryd with a known bug in it (--plant NAME), so that the crash lab
// can prove that it finds one. Everything else is skerryd; it is never installed.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <map>
#include <string>

#include "app/application.hpp"
#include "app/configuration.hpp"
#include "app/core_count.hpp"
#include "app/log.hpp"

namespace {

using skerry::shard::TestFaults;

const std::map<std::string, TestFaults>& plants() {
  static const std::map<std::string, TestFaults> known{
      {"none", {}},
      {"acknowledge-before-commit", {.acknowledge_before_commit = true}},
      {"forget-qos2-id", {.forget_qos2_id = true}},
      {"drop-on-takeover", {.drop_on_takeover = true}}};
  return known;
}

void serve(const std::string& path, const TestFaults& faults) {
  auto configuration = skerry::app::load_configuration(path);
  skerry::app::raise_file_limit();
  skerry::app::Log log(configuration.log);
  skerry::app::Application application(
      {.configuration = std::move(configuration), .configuration_path = path, .faults = faults},
      log);
  application.start();
  std::fputs(application.welcome().c_str(), stdout);
  std::fflush(stdout);
  application.run();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App program("Skerry's server with a planted bug, for the crash lab");
  std::string path;
  std::string plant = "none";
  program.add_option("--config", path, "configuration file (YAML)")->required();
  program.add_option("--plant", plant, "the bug")->check(CLI::IsMember(plants()));
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error);
  }
  try {
    serve(path, plants().at(plant));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "skerryd-lab: %s\n", error.what());
    return 1;
  }
}
