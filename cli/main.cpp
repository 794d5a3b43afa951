// skerryctl: the operator's command line, a client of the REST API.
#include <csignal>
#include <iostream>

#include "cli/program.hpp"

int main(int count, char** words) {
  // A server that hangs up ends as an error in words, not as a signal.
  std::signal(SIGPIPE, SIG_IGN);
  return skerry::cli::run({words + 1, words + count}, std::cin, std::cout, std::cerr);
}
