// How long filters over a fleet take: 100,000 devices as a fleet has them, questions as people and
// programs ask them, while devices go on changing. Prints a line for each question and fails when
// the 99th percentile of all is above 50 ms. Usage: skerry-filter-bench [devices]
#include <unistd.h>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "auth/device_index.hpp"

namespace {

using namespace skerry;
using namespace skerry::auth;
using Clock = std::chrono::steady_clock;

constexpr double limit_milliseconds = 50;
constexpr int rounds = 40;
const WallTime now = wall_from_epoch(1'800'000'000'000);

struct Fleet {
  std::map<std::string, DevicePointer, std::less<>> all;
  DeviceIndex index{[this](std::string_view id) {
    const auto at = all.find(id);
    return at == all.end() ? DevicePointer{} : at->second;
  }};
};

std::string id_of(std::size_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "pump-%06zu", number);
  return text;
}

void put(Fleet& fleet, std::size_t number, std::mt19937& random) {
  const auto pick = [&](unsigned count) { return static_cast<unsigned>(random() % count); };
  Device device;
  device.id = id_of(number);
  device.state = pick(20) == 0 ? DeviceState::suspended : DeviceState::enrolled;
  device.created = now - std::chrono::minutes{pick(500'000)};
  device.changed = device.created + std::chrono::minutes{pick(1000)};
  device.name = "Feed pump " + std::to_string(number) + " hall " + std::to_string(pick(40));
  device.model = "model-" + std::to_string(pick(12));
  device.serial_number = "SN" + std::to_string(random());
  for (const char* tag : {"beta", "critical", "lab", "roof"}) {
    if (pick(6) == 0) {
      device.tags.emplace_back(tag);
    }
  }
  device.attributes["site"] = "site-" + std::to_string(pick(200));
  device.attributes["firmware"] = "2." + std::to_string(pick(20)) + "." + std::to_string(pick(10));
  device.attributes["mac"] = std::to_string(random()) + std::to_string(random());
  DeviceKey key;
  key.fingerprint = std::string(64, "0123456789abcdef"[pick(16)]);
  device.keys.push_back(std::move(key));
  std::string id = device.id;
  fleet.all.insert_or_assign(id, std::make_shared<const Device>(std::move(device)));
  fleet.index.changed(id);
}

struct Question {
  const char* filter;
  DeviceSort sort = DeviceSort::id;
};

constexpr auto questions = std::to_array<Question>({
    {""},
    {"state:enrolled"},
    {"state:enrolled tags:lab attributes.site:site-17"},
    {"state:enrolled tags:lab attributes.site:site-1* NOT model:(model-3 OR model-4)"},
    {"attributes.firmware<2.7.5 NOT state:suspended"},
    {"attributes.mac:1234*"},
    {"id:pump-0123*"},
    {"id:*77"},
    {"createdAt<-100d"},
    {"changedAt:[-30d TO now] tags:critical"},
    {"lastSeen<-7d"},
    {"\"hall 17\""},
    {"hall*17"},
    {"name:*17"},
    {"serialNumber:SN4*"},
    {"keys.fingerprint:aaa*"},
    {"NOT (tags:lab OR tags:roof) OR name:\"Feed*\" OR serialNumber:*9"},
    {"state:enrolled", DeviceSort::changed},
    {"tags:lab", DeviceSort::name},
    {"", DeviceSort::last_seen},
});

double percentile(std::vector<double> times, double share) {
  std::sort(times.begin(), times.end());
  return times[static_cast<std::size_t>(static_cast<double>(times.size() - 1) * share)];
}

long resident_kilobytes() {
  long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*s %ld", &pages) != 1) {
      pages = 0;
    }
    std::fclose(file);
  }
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t count = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 100'000;
  std::mt19937 random{1};
  Fleet fleet;
  const Clock::time_point start = Clock::now();
  for (std::size_t number = 0; number < count; ++number) {
    put(fleet, number, random);
    fleet.index.note_presence(id_of(number), number % 3 == 0,
                              now - std::chrono::minutes{random() % 20'000});
  }
  fleet.index.ids({}, {}, 1, now);
  const double built = std::chrono::duration<double>(Clock::now() - start).count();
  std::printf("%zu devices indexed in %.2f s, %.1f us each; %ld kB resident with the devices\n",
              count, built, built * 1e6 / static_cast<double>(count), resident_kilobytes());
  std::vector<double> all;
  for (const Question& question : questions) {
    const auto filter = parse_device_filter(question.filter);
    std::vector<double> times;
    std::size_t found = 0;
    for (int round = 0; round < rounds; ++round) {
      for (int change = 0; change < 20; ++change) {
        put(fleet, random() % count, random);
      }
      DeviceQuery query;
      query.filter = *filter;
      query.sort = question.sort;
      query.descending = question.sort != DeviceSort::id;
      query.count = true;
      query.after = round % 2 == 0 ? std::nullopt
                                   : std::optional{DevicePlace{0, {}, id_of(random() % count)}};
      const Clock::time_point begin = Clock::now();
      found = *fleet.index.query(query, now).count;
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
    std::printf("%8.2f ms p50 %8.2f ms p99 %8zu found  %s%s\n", percentile(times, 0.5),
                percentile(times, 0.99), found, question.filter,
                question.sort == DeviceSort::id ? "" : " (sorted)");
    all.insert(all.end(), times.begin(), times.end());
  }
  const double worst = percentile(all, 0.99);
  std::printf("all: p50 %.2f ms, p99 %.2f ms\n", percentile(all, 0.5), worst);
  return worst <= limit_milliseconds ? 0 : 1;
}
