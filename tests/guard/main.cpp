// skerry-guard SCENARIO [--plant copy]: runs one fixed script of a few thousand messages through
// one core of the server. Counting starts behind the connecting and a warm-up; guard.py has
// callgrind do it and divides by the messages that are printed.
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "clients.hpp"

namespace {

using namespace skerry;
using namespace skerry::guard;

struct Scenario {
  const char* name;
  std::size_t publishers;
  std::size_t subscribers;
  std::size_t payload_bytes;
  std::size_t window;
  mqtt::Qos qos;
  std::size_t rounds;
  enum class Shape { groups, pairs, telemetry } shape = Shape::groups;
  bool persistent = false;
};

constexpr mqtt::Qos qos0 = mqtt::Qos::at_most_once;
constexpr mqtt::Qos qos1 = mqtt::Qos::at_least_once;
constexpr mqtt::Qos qos2 = mqtt::Qos::exactly_once;
using Shape = Scenario::Shape;

// The names are those of perf/compare/scenarios.yaml; fewer clients, as many kinds of work.
constexpr Scenario scenarios[] = {
    {"a1", 50, 1, 64, 1, qos0, 40},
    {"a2", 50, 1, 64, 16, qos0, 3},
    {"a3", 50, 5, 256, 16, qos0, 3},
    {"b1", 1, 200, 64, 1, qos0, 10},
    {"b2", 1, 200, 64, 8, qos0, 3},
    {"c1", 40, 40, 64, 1, qos1, 40, Shape::pairs},
    {"c2", 40, 40, 64, 10, qos1, 5, Shape::pairs},
    {"d", 40, 40, 64, 10, qos2, 5, Shape::pairs},
    {"durable", 40, 40, 64, 10, qos1, 5, Shape::pairs, true},
    {"t", 40, 0, 0, 16, qos1, 3, Shape::telemetry},
};

class Script {
 public:
  Script(const Scenario& scenario, Plant plant)
      : scenario_(scenario), server_(plant), clients_(server_) {
    for (std::size_t i = 0; i < scenario.publishers + scenario.subscribers; ++i) {
      clients_.connect(scenario.persistent);
      clients_.settle();
    }
    for (std::size_t i = 0; i < scenario.subscribers; ++i) {
      clients_.subscribe(scenario.publishers + i, filter(i), scenario.qos);
      clients_.settle();
    }
  }

  /// Messages that came of one round.
  std::uint64_t round() {
    const std::uint64_t before = clients_.heard();
    for (std::size_t i = 0; i < scenario_.publishers; ++i) {
      for (std::size_t j = 0; j < scenario_.window; ++j) {
        clients_.publish(i, topic(i), payload(), scenario_.qos);
      }
    }
    clients_.settle();
    return scenario_.subscribers == 0 ? scenario_.publishers * scenario_.window
                                      : clients_.heard() - before;
  }

 private:
  std::size_t group(std::size_t publisher) const {
    return scenario_.shape == Shape::pairs || scenario_.publishers == 1
               ? publisher
               : publisher % scenario_.subscribers;
  }

  std::string topic(std::size_t publisher) const {
    if (scenario_.shape == Shape::telemetry) {
      return "devices/guard-" + std::to_string(publisher) + "/telemetry";
    }
    return "bench/" + std::to_string(group(publisher)) + "/" + std::to_string(publisher);
  }

  std::string filter(std::size_t subscriber) const {
    if (scenario_.publishers == 1) {
      return "bench/0/0";
    }
    return "bench/" + std::to_string(subscriber) + "/" +
           (scenario_.shape == Shape::pairs ? std::to_string(subscriber) : "+");
  }

  std::string payload() {
    if (scenario_.shape != Shape::telemetry) {
      return std::string(scenario_.payload_bytes, 'x');
    }
    return R"({"ts":)" + std::to_string(1'699'999'000'000 + 1'000 * ++samples_) +
           R"(,"temperature":21.5,"pressure":1013.25,"open":true})";
  }

  const Scenario& scenario_;
  Server server_;
  Clients clients_;
  std::int64_t samples_ = 0;
};

}  // namespace

// Counting begins with the first call of this, and each call of skerry_guard_turn in it counts.
extern "C" __attribute__((noinline)) void skerry_guard_zero() {
  asm volatile("");
}

int main(int count, char** words) {
  const bool planted =
      count == 4 && std::strcmp(words[2], "--plant") == 0 && std::strcmp(words[3], "copy") == 0;
  for (const Scenario& scenario : scenarios) {
    if ((count == 2 || planted) && std::string_view(scenario.name) == words[1]) {
      Script script(scenario, planted ? Plant::copy : Plant::none);
      script.round();
      skerry_guard_zero();
      std::uint64_t messages = 0;
      for (std::size_t round = 0; round < scenario.rounds; ++round) {
        messages += script.round();
      }
      std::printf("%llu\n", static_cast<unsigned long long>(messages));
      return 0;
    }
  }
  std::fprintf(stderr, "usage: skerry-guard SCENARIO [--plant copy]; scenarios:");
  for (const Scenario& scenario : scenarios) {
    std::fprintf(stderr, " %s", scenario.name);
  }
  std::fprintf(stderr, "\n");
  return 2;
}
