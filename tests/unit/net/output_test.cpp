// What one connection has to send, and how much one read and one listener may take.
#include "net/output.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "net/output_budget.hpp"
#include "net/read_quantum.hpp"

namespace skerry::net::test {

namespace {

void append(Output& output, std::string_view packet) {
  output.tail().append(packet);
  output.appended();
}

/// Sends at most `count` bytes, as a socket takes them.
std::string take(Output& output, std::size_t count) {
  std::string taken;
  while (!output.empty() && taken.size() < count) {
    const Bytes front = output.front();
    const std::size_t size = std::min(front.size(), count - taken.size());
    taken.append(as_text(front.first(size)));
    output.sent(size);
  }
  return taken;
}

}  // namespace

TEST_CASE("what is appended comes out in its order, however it is cut") {
  std::minstd_rand random(7);
  for (int round = 0; round < 50; ++round) {
    Output output;
    std::string in;
    std::string out;
    char next = 'a';
    for (int step = 0; step < 200; ++step) {
      if (random() % 3 != 0) {
        const std::size_t size = random() % (random() % 10 == 0 ? 100'000 : 3'000);
        const std::string packet(size, next++);
        in += packet;
        append(output, packet);
      } else {
        out += take(output, random() % 50'000);
      }
      REQUIRE(output.size() == in.size() - out.size());
      REQUIRE(output.memory_bytes() + 16 >= output.size());
    }
    out += take(output, SIZE_MAX);
    CHECK(in == out);
    CHECK(output.empty());
    CHECK(output.front().empty());
    CHECK(output.memory_bytes() <= 1024);
  }
}

TEST_CASE("a long output is no string that grows: no packet makes it copy more than a piece") {
  Output output;
  const std::string packet(1'000, 'x');
  std::size_t before = 0;
  for (int i = 0; i < 4'000; ++i) {
    append(output, packet);
    CHECK(output.memory_bytes() - before <= Output::piece_bytes);
    before = output.memory_bytes();
  }
  CHECK(output.memory_bytes() <= output.size() + output.size() / 10);
  output.clear();
  CHECK(output.empty());
  CHECK(output.memory_bytes() == 0);
}

TEST_CASE("a read that made too much work is smaller the next time, and large again afterwards") {
  ReadQuantum quantum;
  CHECK(quantum.bytes() == ReadQuantum::most);
  quantum.note(ReadQuantum::most, ReadQuantum::deliveries_max);
  CHECK_FALSE(quantum.reduced());
  quantum.note(ReadQuantum::most, ReadQuantum::deliveries_max * 32);
  CHECK(quantum.bytes() == 2'048);
  quantum.note(2'048, ReadQuantum::deliveries_max * 3 / 4);
  CHECK(quantum.bytes() == 2'048);
  quantum.note(2'048, ReadQuantum::deliveries_max * 1'000);
  CHECK(quantum.bytes() == ReadQuantum::least);
  quantum.note(1'000, 1);  // there was no more: it says nothing
  CHECK(quantum.bytes() == ReadQuantum::least);
  for (std::size_t bytes = ReadQuantum::least; bytes < ReadQuantum::most; bytes *= 2) {
    CHECK(quantum.bytes() == bytes);
    quantum.note(bytes, ReadQuantum::deliveries_max / 4);
  }
  CHECK_FALSE(quantum.reduced());
}

TEST_CASE("of a listener's output those who hold most may have less and less") {
  constexpr std::size_t mebi = 1024 * 1024;
  OutputBudget budget(100 * mebi);
  CHECK(budget.allowance(4 * mebi) == 4 * mebi);
  budget.add(79 * mebi);
  CHECK(budget.allowance(4 * mebi) == 4 * mebi);
  budget.add(11 * mebi);
  CHECK(budget.allowance(4 * mebi) < mebi);
  CHECK(budget.allowance(4 * mebi) > output_bytes_least);
  budget.add(10 * mebi);
  CHECK(budget.allowance(4 * mebi) == output_bytes_least);
  budget.subtract(50 * mebi);
  CHECK(budget.used_bytes() == 50 * mebi);
  CHECK(budget.allowance(4 * mebi) == 4 * mebi);
}

}  // namespace skerry::net::test
