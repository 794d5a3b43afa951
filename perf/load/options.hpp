// What one run of the load program is asked to do, from the command line.
#pragma once

#include <cstdint>
#include <string>

namespace skerry::load {

struct Options {
  std::uint16_t port = 1883;
  std::string workload = "a2";
  double seconds = 3.0;
  double warm_up_seconds = 1.0;
  int server_pid = 0;  ///< 0: the server's CPU time is not read
  int version = 5;     ///< protocol level: 4 or 5
  bool tls = false;
  std::string ca_file;  ///< TLS: what the server's certificate is verified with
  std::string certificate_file;
  std::string key_file;
};

/// Ends the program with a sentence and exit code 2 on a wrong argument.
Options read_options(int argument_count, char** arguments);

}  // namespace skerry::load
