// sim: lives simulated worlds and says what the oracle finds in them. See README.md.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "sim/world.hpp"

namespace {

using namespace skerry::sim;
using Clock = std::chrono::steady_clock;

constexpr std::size_t lines_shown = 60;
constexpr std::size_t seeds_shown = 8;  ///< of each kind of finding

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  std::uint32_t jobs = 1;
  double minutes = 0;
  bool trace = false;
  bool shrink = false;
  bool survey = false;
  std::uint64_t off = 0;
  std::uint32_t actions = 0;
  skerry::shard::TestFaults faults;
};

/// What one world came to.
struct Life {
  std::optional<std::string> finding;
  std::uint64_t events = 0;
  std::uint64_t hash = 0;
  std::deque<std::string> lines;
};

std::uint64_t current_seed = 0;

/// An assertion of our own code aborts: say at least where.
void on_abort(int) {
  char text[64];
  const int size = std::snprintf(text, sizeof text, "aborted in seed %llu\n",
                                 static_cast<unsigned long long>(current_seed));
  if (write(STDERR_FILENO, text, static_cast<std::size_t>(size)) < 0) {
    _exit(1);
  }
}

Life live(const WorldOptions& options) {
  current_seed = options.seed;
  Life life;
  World world(options);
  try {
    world.run();
  } catch (const Finding& finding) {
    life.finding = finding.what();
  }
  life.events = world.events();
  life.hash = world.trace_hash();
  life.lines = world.lines();
  return life;
}

/// The kind of a finding: its words without the numbers.
std::string kind_of(const std::string& finding) {
  std::string kind;
  bool inside = false;  // brackets tell of one message
  for (const char each : finding) {
    inside = (inside || each == '(') && each != ')';
    if (inside) {
      continue;
    }
    kind += each >= '0' && each <= '9' ? '0' : each;
    if (kind.size() > 1 && kind.back() == '0' && kind[kind.size() - 2] == '0') {
      kind.pop_back();
    }
  }
  return kind.substr(0, kind.find_first_of(";\n"));
}

/// Leaves out every feature without which the finding stays, then as many actions as it can.
WorldOptions shrink(WorldOptions options, const std::string& finding) {
  const std::string kind = kind_of(finding);
  const auto stays = [&](const WorldOptions& tried) {
    const Life life = live(tried);
    return life.finding && kind_of(*life.finding) == kind;
  };
  for (std::size_t i = 0; i < feature_count; ++i) {
    WorldOptions tried = options;
    tried.off |= std::uint64_t{1} << i;
    if (tried.off != options.off && stays(tried)) {
      options = tried;
    }
  }
  std::uint32_t high = Swarm(options.seed, options.off).actions;
  for (std::uint32_t low = 1; low < high;) {
    const std::uint32_t middle = (low + high) / 2;
    WorldOptions tried = options;
    tried.actions_max = middle;
    if (stays(tried)) {
      high = middle;
      options = tried;
    } else {
      low = middle + 1;
    }
  }
  return options;
}

std::string command_of(const WorldOptions& options) {
  std::string command = "sim --seed " + std::to_string(options.seed);
  std::string off;
  const Swarm all(options.seed, 0);
  for (std::size_t i = 0; i < feature_count; ++i) {
    if ((options.off >> i & 1) != 0 && all.has(static_cast<Feature>(i))) {
      off.append(off.empty() ? "" : ",").append(name_of(static_cast<Feature>(i)));
    }
  }
  if (!off.empty()) {
    command += " --off " + off;
  }
  if (options.actions_max != 0) {
    command += " --actions " + std::to_string(options.actions_max);
  }
  return command;
}

void report(WorldOptions options, const std::string& finding, bool shrinks) {
  std::printf("seed %llu: %s\n", static_cast<unsigned long long>(options.seed), finding.c_str());
  if (shrinks) {
    options = shrink(options, finding);
    std::printf("smaller: %s --trace\n", command_of(options).c_str());
  }
  std::printf("in a world of %s\n", Swarm(options.seed, options.off).text().c_str());
  options.trace_lines = lines_shown;
  const Life again = live(options);
  for (const std::string& line : again.lines) {
    std::printf("  %s\n", line.c_str());
  }
  std::printf("%s\n", again.finding ? again.finding->c_str() : "(not found again)");
  std::fflush(stdout);
}

int run_seeds(const Arguments& arguments, std::uint32_t job) {
  const Clock::time_point start = Clock::now();
  std::uint64_t worlds = 0;
  std::uint64_t events = 0;
  std::uint64_t hash = 0;
  std::map<std::string, std::vector<std::uint64_t>> kinds;  // seeds
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  for (std::uint64_t seed = arguments.first + job; seed <= arguments.last; seed += arguments.jobs) {
    if (arguments.minutes > 0 && seconds() > arguments.minutes * 60) {
      break;
    }
    WorldOptions options{.seed = seed, .off = arguments.off, .actions_max = arguments.actions};
    options.faults = arguments.faults;
    options.trace_all = arguments.trace;
    const Life life = live(options);
    ++worlds;
    events += life.events;
    hash = (hash ^ life.hash) * 0x9e3779b97f4a7c15;
    if (life.finding && arguments.survey) {
      kinds[kind_of(*life.finding)].push_back(seed);
    } else if (life.finding) {
      options.trace_all = false;
      report(options, *life.finding, arguments.shrink);
      return 1;
    }
  }
  for (const auto& [kind, seeds] : kinds) {
    std::printf("%6zu × %s, first in", seeds.size(), kind.c_str());
    for (std::size_t i = 0; i < std::min(seeds.size(), seeds_shown); ++i) {
      std::printf(" %llu", static_cast<unsigned long long>(seeds[i]));
    }
    std::printf("\n");
  }
  std::printf("%llu worlds, %llu events, %.1f s, %.0f events/s, trace %016llx: %s\n",
              static_cast<unsigned long long>(worlds), static_cast<unsigned long long>(events),
              seconds(), static_cast<double>(events) / seconds(),
              static_cast<unsigned long long>(hash), kinds.empty() ? "nothing found" : "see above");
  return kinds.empty() ? 0 : 1;
}

int run_jobs(const Arguments& arguments) {
  if (arguments.jobs == 1) {
    return run_seeds(arguments, 0);
  }
  for (std::uint32_t job = 0; job < arguments.jobs; ++job) {
    if (fork() == 0) {
      const int code = run_seeds(arguments, job);
      std::fflush(stdout);
      _exit(code);
    }
  }
  int worst = 0;
  for (int status = 0; wait(&status) > 0;) {
    worst = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? worst : 1;
  }
  return worst;
}

std::uint64_t features_of(std::string_view list) {
  std::uint64_t all = 0;
  while (!list.empty()) {
    const std::string_view name = list.substr(0, list.find(','));
    const Feature feature = feature_of(name);
    if (feature == Feature::count_) {
      std::fprintf(stderr, "sim: there is no feature %.*s\n", static_cast<int>(name.size()),
                   name.data());
      std::exit(2);
    }
    all |= std::uint64_t{1} << static_cast<unsigned>(feature);
    list.remove_prefix(std::min(list.size(), name.size() + 1));
  }
  return all;
}

bool plant(skerry::shard::TestFaults& faults, std::string_view name) {
  bool* const places[] = {&faults.acknowledge_before_commit, &faults.forget_qos2_id,
                          &faults.drop_on_takeover};
  constexpr std::string_view names[] = {"acknowledge_before_commit", "forget_qos2_id",
                                        "drop_on_takeover"};
  const auto known = std::find(std::begin(names), std::end(names), name);
  if (known == std::end(names)) {
    return false;
  }
  return *places[known - std::begin(names)] = true;
}

[[noreturn]] void usage() {
  std::fprintf(stderr,
               "usage: sim --seed N [--trace] | --seeds FROM..TO [--jobs N] | --random COUNT\n"
               "           [--minutes M] [--off FEATURE,…] [--actions N] [--shrink] [--survey]\n"
               "           [--plant BUG]\n");
  std::exit(2);
}

void seeds_of(Arguments& arguments, const char* text) {
  char* end = nullptr;
  arguments.first = std::strtoull(text, &end, 10);
  arguments.last =
      std::strncmp(end, "..", 2) == 0 ? std::strtoull(end + 2, nullptr, 10) : arguments.first;
}

Arguments parse(int count, char** values) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = values[i];
    if (name == "--trace") {
      arguments.trace = true;
      continue;
    }
    if (name == "--survey") {
      arguments.survey = true;
      continue;
    }
    if (name == "--shrink") {
      arguments.shrink = true;
      continue;
    }
    if (++i == count) {
      usage();
    }
    const char* value = values[i];
    if (name == "--seed" || name == "--seeds") {
      seeds_of(arguments, value);
    } else if (name == "--random") {
      arguments.first = std::random_device{}();
      arguments.last = arguments.first + std::strtoull(value, nullptr, 10) - 1;
    } else if (name == "--jobs") {
      arguments.jobs = std::max(1u, static_cast<std::uint32_t>(std::strtoul(value, nullptr, 10)));
    } else if (name == "--minutes") {
      arguments.minutes = std::strtod(value, nullptr);
      arguments.last = arguments.last == 1 ? UINT64_MAX : arguments.last;
    } else if (name == "--plant" && plant(arguments.faults, value)) {
      continue;
    } else if (name == "--off") {
      arguments.off = features_of(value);
    } else if (name == "--actions") {
      arguments.actions = static_cast<std::uint32_t>(std::strtoul(value, nullptr, 10));
    } else {
      usage();
    }
  }
  return arguments;
}

}  // namespace

int main(int count, char** values) {
  std::signal(SIGABRT, on_abort);
  const Arguments arguments = parse(count, values);
  std::printf("sim: seeds from %llu\n", static_cast<unsigned long long>(arguments.first));
  std::fflush(stdout);
  return run_jobs(arguments);
}
