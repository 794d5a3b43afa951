#include "options.hpp"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace skerry::load {
namespace {

constexpr const char* usage =
    "usage: skerry-load --port PORT [--workload a1|a2|a3|b1|b2|c1|c2|d|telemetry] [--seconds 3]\n"
    "       [--warm-up 1] [--pid PID_OF_SERVER] [--version 4|5]\n"
    "       [--tls --ca FILE [--cert FILE --key FILE]]\n";

[[noreturn]] void fail(const std::string& sentence) {
  std::fprintf(stderr, "skerry-load: %s\n%s", sentence.c_str(), usage);
  std::exit(2);
}

}  // namespace

Options read_options(int argument_count, char** arguments) {
  Options options;
  for (int i = 1; i < argument_count; ++i) {
    const std::string_view name = arguments[i];
    if (name == "--tls") {
      options.tls = true;
      continue;
    }
    if (++i == argument_count) {
      fail(std::string(name) + " needs a value");
    }
    const char* value = arguments[i];
    if (name == "--port") {
      options.port = static_cast<std::uint16_t>(std::atoi(value));
    } else if (name == "--workload") {
      options.workload = value;
    } else if (name == "--seconds") {
      options.seconds = std::atof(value);
    } else if (name == "--warm-up") {
      options.warm_up_seconds = std::atof(value);
    } else if (name == "--pid") {
      options.server_pid = std::atoi(value);
    } else if (name == "--version") {
      options.version = std::atoi(value);
    } else if (name == "--ca") {
      options.ca_file = value;
    } else if (name == "--cert") {
      options.certificate_file = value;
    } else if (name == "--key") {
      options.key_file = value;
    } else {
      fail("there is no option " + std::string(name));
    }
  }
  if (options.version != 4 && options.version != 5) {
    fail("--version is 4 or 5");
  }
  return options;
}

}  // namespace skerry::load
