#include "net/work_queue.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <memory>
#include <thread>
#include <vector>

using skerry::net::WorkQueue;

namespace {

bool is_readable(const WorkQueue& queue) {
  pollfd watched{queue.descriptor(), POLLIN, 0};
  return ::poll(&watched, 1, 0) == 1;
}

}  // namespace

TEST_CASE("work runs in the order of posting, and the descriptor tells of it until then") {
  WorkQueue queue;
  CHECK_FALSE(is_readable(queue));
  std::vector<int> ran;
  for (int i = 0; i < 3; ++i) {
    queue.post([&ran, i] { ran.push_back(i); });
  }
  CHECK(is_readable(queue));
  queue.run();
  CHECK(ran == std::vector<int>{0, 1, 2});
  CHECK_FALSE(is_readable(queue));
}

TEST_CASE("work that posts work is told of again and does not run it itself") {
  WorkQueue queue;
  int ran = 0;
  queue.post([&] { queue.post([&ran] { ++ran; }); });
  queue.run();
  CHECK(ran == 0);
  CHECK(is_readable(queue));
  queue.run();
  CHECK(ran == 1);
}

TEST_CASE("a closed queue lets go of what waited and of what comes") {
  WorkQueue queue;
  const auto held = std::make_shared<int>(1);
  queue.post([held] {});
  queue.close();
  CHECK(held.use_count() == 1);
  queue.post([held] {});
  CHECK(held.use_count() == 1);
}

TEST_CASE("nothing is lost when many threads post while the queue runs") {
  constexpr int threads = 4;
  constexpr int pieces = 20'000;
  WorkQueue queue;
  int ran = 0;
  std::vector<std::thread> posting;
  for (int i = 0; i < threads; ++i) {
    posting.emplace_back([&] {
      for (int piece = 0; piece < pieces; ++piece) {
        queue.post([&ran] { ++ran; });
      }
    });
  }
  while (ran < threads * pieces) {
    pollfd watched{queue.descriptor(), POLLIN, 0};
    REQUIRE(::poll(&watched, 1, 10'000) == 1);  // a piece without a word would end this
    queue.run();
  }
  for (std::thread& thread : posting) {
    thread.join();
  }
  CHECK(ran == threads * pieces);
}
