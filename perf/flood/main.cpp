// skerry-flood: healthy clients, or one kind of flood, against an MQTT server on this machine.
#include <signal.h>

#include <cstdio>

#include "attempts.hpp"
#include "failure.hpp"
#include "healthy.hpp"

int main(int argument_count, char** arguments) {
  using namespace skerry::flood;
  const Options options = read_options(argument_count, arguments);
  ::signal(SIGPIPE, SIG_IGN);
  if (options.mode == "healthy") {
    try {
      run_healthy(options);
    } catch (const skerry::bench::Failure& failure) {
      std::fprintf(stderr, "skerry-flood: %s\n", failure.what());
      return 1;
    }
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
