// The pool of reading threads: what it accepts it runs, and what it cannot keep it refuses.
#include <doctest/doctest.h>
#include <pthread.h>

#include <atomic>
#include <latch>
#include <string>

#include "storage/reader_pool.hpp"

using skerry::storage::ReaderPool;

TEST_CASE("every accepted job runs before the pool is gone") {
  std::atomic<int> count{0};
  int accepted = 0;
  {
    ReaderPool pool(4, 10'000);
    for (int index = 0; index < 10'000; ++index) {
      accepted += pool.run([&] { count.fetch_add(1); }) ? 1 : 0;
    }
  }
  CHECK(accepted == 10'000);
  CHECK(count == 10'000);
}

TEST_CASE("a job is refused when the queue is full, and taken again later") {
  std::latch started(1);
  std::latch release(1);
  std::latch queued_ran(1);
  ReaderPool pool(1, 1);
  REQUIRE(pool.run([&] {
    started.count_down();
    release.wait();
  }));
  started.wait();
  CHECK(pool.run([&] { queued_ran.count_down(); }));
  CHECK_FALSE(pool.run([] {}));
  release.count_down();
  queued_ran.wait();
  CHECK(pool.run([] {}));
}

TEST_CASE("jobs run at the same time on threads with a name") {
  std::latch both(2);
  ReaderPool pool(2);
  std::string name;
  CHECK(pool.run([&] {
    char text[16];
    pthread_getname_np(pthread_self(), text, sizeof text);
    name = text;
    both.arrive_and_wait();
  }));
  CHECK(pool.run([&] { both.arrive_and_wait(); }));
  both.wait();
  CHECK(name == "skerry-reader");
}
