#include "profile.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "failure.hpp"

using namespace skerry::bench;

namespace {

std::string words_of(const std::string& text) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("skerry-profile-" + std::to_string(::getpid()) + ".yaml");
  std::ofstream(file) << text;
  std::string words;
  try {
    const Profile profile = read_profile(file.string());
    words = "clients " + std::to_string(profile.clients());
  } catch (const Failure& failure) {
    words = failure.what();
  }
  std::filesystem::remove(file);
  return words;
}

bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a profile says who there is") {
  CHECK(words_of("groups:\n"
                 "  - name: sensors\n"
                 "    count: 500\n"
                 "    publish: {topic: 'devices/{id}/telemetry', qos: 1, interval: 10s}\n"
                 "    session_expiry: 1h\n"
                 "    reconnect: 60s\n"
                 "  - {name: backend, subscribe: ['devices/+/telemetry'], qos: 1}\n") ==
        "clients 501");
}

TEST_CASE("mistakes in a profile are named with their line") {
  CHECK(has(words_of("groups: []"), "list of 1 to 100"));
  CHECK(has(words_of("groups:\n  - name: a\n    cuont: 3\n"), "line 3: `cuont` is not known"));
  CHECK(has(words_of("groups:\n  - name: a\n    count: 0\n"), "line 3: a number from 1"));
  CHECK(has(words_of("groups:\n  - name: a\n    publish: {topic: t}\n"), "needs `topic`"));
  CHECK(has(words_of("groups:\n  - name: a\n    publish: {topic: t, interval: 3}\n"),
            "`3` is no duration"));
  CHECK(has(words_of("groups:\n  - name: a\n    publish: {topic: t, interval: 1s, payload: 3}\n"),
            "a number from 16"));
  CHECK(has(words_of("groups:\n  - {count: 3}\n"), "needs a `name`"));
  CHECK(has(words_of("groups: {"), "line"));
  CHECK(has(words_of("groups:\n  - {name: a, count: 900000}\n  - {name: b, count: 900000}\n"),
            "more than 1000000 clients"));
}

TEST_CASE("durations") {
  CHECK(duration_of("500ms") == 500'000'000);
  CHECK(duration_of("2h") == 7'200'000'000'000);
  for (const char* text :
       {"", "5", "s", "-1s", "0s", "1.5s", "9999999999h", "99999999999999999999s", "10 s"}) {
    CHECK_THROWS_AS(static_cast<void>(duration_of(text)), Failure);
  }
}
