// skerry-flood: healthy clients, or one kind of flood, against an MQTT server on this machine.
#include <signal.h>

#include <cstdio>

#include "attempts.hpp"
#include "healthy.hpp"

int main(int argument_count, char** arguments) {
  using namespace skerry::flood;
  const Options options = read_options(argument_count, arguments);
  ::signal(SIGPIPE, SIG_IGN);
  if (options.mode == "healthy") {
    run_healthy(options);
    return 0;
  }
  Attempts attempts(options);
  attempts.run();
  attempts.print();
  if (options.mode == "storm") {
    std::getchar();  // the fleet stays until whoever started it is done
  }
  return 0;
}
