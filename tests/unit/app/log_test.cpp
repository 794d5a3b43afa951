// Lines of the log: what a peer chooses can neither end a line nor steer a terminal.
#include "app/log.hpp"

#include <doctest/doctest.h>

namespace skerry::app {

TEST_CASE("a JSON line is one object with its fields in order") {
  CHECK(log_line(LogFormat::json, wall_from_epoch(1'700'000'000'123), LogLevel::warning,
                 "publish_denied", {{"client", "dev-1"}, {"detail", "rule device_topics"}}) ==
        R"({"ts":"2023-11-14T22:13:20.123Z","level":"warning","event":"publish_denied",)"
        R"("client":"dev-1","detail":"rule device_topics"})");
}

TEST_CASE("a text line names its fields and leaves out empty ones") {
  CHECK(log_line(LogFormat::text, wall_from_epoch(0), LogLevel::information, "started",
                 {{"client", ""}, {"detail", "a b"}}) ==
        "1970-01-01T00:00:00.000Z information started detail=\"a b\"");
}

TEST_CASE("control characters, quotes and stray bytes are escaped in both forms") {
  for (const LogFormat format : {LogFormat::json, LogFormat::text}) {
    const std::string line = log_line(format, wall_from_epoch(0), LogLevel::error, "x",
                                      {{"client", "a\"b\\c\n\x1b[2J\x7f"}, {"detail", "\xff\xfe"}});
    CHECK(line.find(R"(a\"b\\c\u000a\u001b[2J\u007f)") != std::string::npos);
    CHECK(line.find("??") != std::string::npos);
    CHECK(line.find('\n') == std::string::npos);
  }
  CHECK(
      log_line(LogFormat::json, wall_from_epoch(0), LogLevel::error, "x", {{"c", "é"}}).find("é") !=
      std::string::npos);
}

TEST_CASE("a flood of one event is cut, counted, and leaves other events alone") {
  LogLimiter limiter;
  const SteadyTime start{};
  for (std::uint32_t i = 0; i < log_lines_per_second_max; ++i) {
    CHECK(limiter.ask("connect_denied", start).pass);
  }
  for (int i = 0; i < 50; ++i) {
    CHECK(!limiter.ask("connect_denied", start + Milliseconds(999)).pass);
  }
  CHECK(limiter.ask("started", start).pass);
  const auto next = limiter.ask("connect_denied", start + Milliseconds(1'000));
  CHECK(next.pass);
  CHECK(next.suppressed == 50);
  CHECK(limiter.ask("connect_denied", start + Milliseconds(1'001)).suppressed == 0);
}

}  // namespace skerry::app
