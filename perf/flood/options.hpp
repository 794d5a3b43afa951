// What one run of the flood program is asked to do, from the command line.
#pragma once

#include <cstdint>
#include <string>

#include "fleet.hpp"

namespace skerry::flood {

struct Options {
  std::string mode;  ///< healthy, reset, tls, slow, storm
  bench::Fleet::Options server;
  double seconds = 10;
  double rate = 1'000;       ///< attempts a second; healthy: messages a second of all
  std::uint32_t count = 50;  ///< clients of healthy and storm, sockets of slow
  std::uint32_t hosts = 1;   ///< how many addresses 127.0.0.x they come from
  std::string name = "f";    ///< begins their client identifiers
  bool durable = false;      ///< healthy: persistent subscribers, so that each message is stored
};

/// Ends the program with a sentence and exit code 2 on a wrong argument.
Options read_options(int argument_count, char** arguments);

}  // namespace skerry::flood
