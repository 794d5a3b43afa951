#include "options.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace skerry::flood {
namespace {

constexpr const char* usage =
    "usage: skerry-flood healthy|reset|tls|slow|storm --port PORT [--seconds 10] [--rate 1000]\n"
    "       [--count 50] [--hosts 1] [--name f] [--durable] [--tls --ca FILE --cert FILE --key "
    "FILE]\n";

[[noreturn]] void fail(const std::string& sentence) {
  std::fprintf(stderr, "skerry-flood: %s\n%s", sentence.c_str(), usage);
  std::exit(2);
}

bool read_flag(std::string_view name, Options& options) {
  if (name == "--tls") {
    options.server.tls = true;
  } else if (name == "--durable") {
    options.durable = true;
  } else {
    return false;
  }
  return true;
}

void read_value(std::string_view name, const char* value, Options& options) {
  if (name == "--port") {
    options.server.port = static_cast<std::uint16_t>(std::atoi(value));
  } else if (name == "--seconds") {
    options.seconds = std::atof(value);
  } else if (name == "--rate") {
    options.rate = std::atof(value);
  } else if (name == "--count") {
    options.count = std::atoi(value);
  } else if (name == "--hosts") {
    options.hosts = std::atoi(value);
  } else if (name == "--name") {
    options.name = value;
  } else if (name == "--ca") {
    options.server.ca_file = value;
  } else if (name == "--cert") {
    options.server.certificate_file = value;
  } else if (name == "--key") {
    options.server.key_file = value;
  } else {
    fail("there is no option " + std::string(name));
  }
}

}  // namespace

Options read_options(int argument_count, char** arguments) {
  Options options;
  if (argument_count < 2) {
    fail("a mode is needed");
  }
  options.mode = arguments[1];
  for (int i = 2; i < argument_count; ++i) {
    const std::string_view name = arguments[i];
    if (read_flag(name, options)) {
      continue;
    }
    if (++i == argument_count) {
      fail(std::string(name) + " needs a value");
    }
    read_value(name, arguments[i], options);
  }
  if (options.hosts < 1 || options.hosts > 250 || options.count < 2) {
    fail("--hosts is 1 to 250, --count 2 or more");
  }
  return options;
}

std::int64_t now_nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace skerry::flood
