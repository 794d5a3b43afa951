// The committer: who shares a write, who hears of what and in which order, and how it comes back
// after a failure. A gate in front of the store decides when a write may go on.
#include "storage/committer.hpp"

#include <doctest/doctest.h>
#include <pthread.h>

#include <condition_variable>
#include <latch>
#include <mutex>
#include <thread>

#include "unit/storage/storage_fixture.hpp"

using namespace skerry::storage;
using namespace skerry::storage::test;
using namespace std::chrono_literals;

namespace {

/// Passes everything on to a MemoryStore; writes wait while the gate is closed.
class GatedStore final : public KvStore {
 public:
  Status write(const Batch& batch, bool sync) override {
    {
      std::unique_lock lock(mutex_);
      ++entered_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return is_open_; });
      counts.push_back(batch.count());
      syncs_asked += sync ? 1 : 0;
    }
    return memory->write(batch, sync);
  }
  Status sync() override {
    const Status status = memory->sync();
    const std::lock_guard lock(mutex_);
    ++syncs_;
    changed_.notify_all();
    return status;
  }
  Status get(Family family, std::string_view key, std::string& value,
             const Snapshot* snapshot) const override {
    return memory->get(family, key, value, snapshot);
  }
  std::unique_ptr<Iterator> scan(Family family, KeyRange range,
                                 const Snapshot* snapshot) const override {
    return memory->scan(family, std::move(range), snapshot);
  }
  std::unique_ptr<Snapshot> snapshot() const override { return memory->snapshot(); }
  Status checkpoint(const std::string& directory) override { return memory->checkpoint(directory); }
  Status reopen() override { return memory->reopen(); }
  std::uint64_t size_bytes() const override { return 0; }
  void set_observer(WriteObserver* observer) override { memory->set_observer(observer); }
  void set_retention(std::shared_ptr<const RetentionFilter> filter) override {
    memory->set_retention(std::move(filter));
  }
  Status compact(Family family, const KeyRange& range) override {
    return memory->compact(family, range);
  }

  void close_gate() {
    const std::lock_guard lock(mutex_);
    is_open_ = false;
  }
  void open_gate() {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  /// Waits until `count` writes have arrived at the gate, passed or not.
  void wait_for_writes(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return entered_ >= count; });
  }
  void wait_for_syncs(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return syncs_ >= count; });
  }

  const std::unique_ptr<MemoryStore> memory = MemoryStore::create();
  std::vector<std::uint32_t> counts;  ///< operations of each write; read when nobody writes
  std::size_t syncs_asked = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = true;
  std::size_t entered_ = 0;
  std::size_t syncs_ = 0;
};

Batch one(std::string_view key, std::string_view value = "") {
  Batch batch;
  batch.put(Family::sessions, key, value);
  return batch;
}

/// Collects how submissions ended; they end on the committer's thread.
class Ends {
 public:
  Committer::Done expect(std::string name) {
    const std::lock_guard lock(mutex_);
    ++expected_;
    return [this, name = std::move(name)](const Status& status) {
      const std::lock_guard inner(mutex_);
      order_.push_back(name);
      codes_.push_back(status.code);
      changed_.notify_all();
    };
  }
  /// Waits for all that was expected so far.
  std::vector<StatusCode> wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return codes_.size() == expected_; });
    return codes_;
  }
  std::vector<std::string> order() {
    wait();
    return order_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t expected_ = 0;
  std::vector<std::string> order_;
  std::vector<StatusCode> codes_;
};

void wait_until_healthy(const Committer& committer) {
  while (!committer.healthy()) {
    std::this_thread::yield();
  }
}

CommitterOptions quick_options(SyncMode sync = SyncMode::commit) {
  CommitterOptions options;
  options.sync = sync;
  options.retry_first = 1ms;
  options.retry_longest = 4ms;
  return options;
}

constexpr auto ok = StatusCode::ok;
constexpr auto io_error = StatusCode::io_error;

}  // namespace

TEST_CASE("batches submitted during a write share the next one") {
  GatedStore store;
  store.close_gate();
  Ends ends;
  {
    Committer committer(store, {});
    committer.submit(one("0"), ends.expect("0"));
    store.wait_for_writes(1);
    for (const char* name : {"1", "2", "3"}) {
      committer.submit(one(name), ends.expect(name));
    }
    committer.submit({}, ends.expect("empty"));
    committer.submit(one("4"), ends.expect("4"));
    store.open_gate();
    CHECK(ends.wait() == std::vector<StatusCode>(6, ok));
  }
  CHECK(ends.order() == std::vector<std::string>{"0", "1", "2", "3", "empty", "4"});
  CHECK(store.counts == std::vector<std::uint32_t>{1, 4});
  CHECK(store.syncs_asked == 2);
}

TEST_CASE("a sink hears once of all its batches in a group") {
  struct Recorder final : Committer::Sink {
    void committed(std::uint64_t last_ticket, const Status& status) override {
      heard.emplace_back(last_ticket, status.code);
    }
    std::vector<std::pair<std::uint64_t, StatusCode>> heard;
  };
  Recorder first;
  Recorder second;
  GatedStore store;
  store.close_gate();
  {
    Committer committer(store, {});
    committer.submit(one("0"), first, 7);
    store.wait_for_writes(1);
    committer.submit(one("1"), first, 8);
    committer.submit(one("2"), second, 100);
    committer.submit(one("3"), first, 9);
    store.open_gate();
  }
  using Heard = std::vector<std::pair<std::uint64_t, StatusCode>>;
  CHECK(first.heard == Heard{{7, ok}, {9, ok}});
  CHECK(second.heard == Heard{{100, ok}});
}

TEST_CASE("a failure reaches its whole group, and neither earlier nor later ones") {
  GatedStore store;
  Ends ends;
  Committer committer(store, quick_options());
  CHECK(committer.write_and_wait(one("before")).ok());
  store.memory->fail_write(2, io_error);
  store.close_gate();
  committer.submit(one("alone"), ends.expect("alone"));
  store.wait_for_writes(2);
  committer.submit(one("a"), ends.expect("a"));
  committer.submit(one("b"), ends.expect("b"));
  // Healed on the committer's own thread before it goes on, so the next submission finds it well.
  committer.submit({}, [&](const Status& status) {
    CHECK(status.code == io_error);
    store.memory->heal();
  });
  store.open_gate();
  CHECK(ends.wait() == std::vector<StatusCode>{ok, io_error, io_error});
  wait_until_healthy(committer);
  CHECK(committer.write_and_wait(one("after")).ok());
  CHECK(contents(store, Family::sessions, {}).size() == 3);
  CHECK(committer.statistics().failures == 1);
  CHECK(committer.statistics().reopens == 1);
}

TEST_CASE("what is queued behind a group that fails is not stored either") {
  GatedStore store;
  store.close_gate();
  store.memory->fail_write(1, io_error);
  Ends ends;
  Committer committer(store, quick_options());
  committer.submit(one("in the group"), ends.expect("1"));
  store.wait_for_writes(1);
  committer.submit(one("behind it"), ends.expect("2"));
  store.open_gate();
  CHECK(ends.wait() == std::vector<StatusCode>{io_error, io_error});
  store.memory->heal();
  wait_until_healthy(committer);
  CHECK(contents(store, Family::sessions).empty());
}

TEST_CASE("a broken store refuses at once and is taken up again without a restart") {
  GatedStore store;
  Committer committer(store, quick_options());
  SUBCASE("after an I/O error") {
    store.memory->fail_write(1, io_error);
    CHECK(committer.write_and_wait(one("1")).code == io_error);
    CHECK(committer.write_and_wait(one("2")).code == StatusCode::closed);
    CHECK(committer.write_and_wait({}).code == StatusCode::closed);
  }
  SUBCASE("when full") {
    store.memory->fail_write(1, StatusCode::full);
    CHECK(committer.write_and_wait(one("1")).code == StatusCode::full);
    CHECK(committer.write_and_wait(one("2")).code == StatusCode::full);
  }
  CHECK_FALSE(committer.healthy());
  CHECK(committer.statistics().queued_bytes == 0);
  store.memory->heal();
  wait_until_healthy(committer);
  CHECK(committer.write_and_wait(one("3")).ok());
  CHECK(contents(store, Family::sessions).size() == 1);
}

TEST_CASE("a broken committer ends what was submitted before it goes") {
  GatedStore store;
  store.memory->fail_write(1, io_error);
  Ends ends;
  {
    Committer committer(store, {});
    CHECK(committer.write_and_wait(one("1")).code == io_error);
    committer.submit(one("2"), ends.expect("2"));
  }
  CHECK(ends.wait() == std::vector<StatusCode>{StatusCode::closed});
}

TEST_CASE("with an interval, completions come before the sync and the sync follows") {
  GatedStore store;
  CommitterOptions options = quick_options(SyncMode::interval);
  SUBCASE("after the interval") {
    options.interval = 0ms;
    Committer committer(store, options);
    CHECK(committer.write_and_wait(one("1")).ok());
    store.wait_for_syncs(1);
    store.memory->forget_unsynced();
    CHECK(contents(store, Family::sessions).size() == 1);
  }
  SUBCASE("at the latest when the committer goes") {
    options.interval = 1h;
    {
      Committer committer(store, options);
      CHECK(committer.write_and_wait(one("1")).ok());
    }
    store.wait_for_syncs(1);
    store.memory->forget_unsynced();
    CHECK(contents(store, Family::sessions).size() == 1);
  }
  SUBCASE("a crash before it loses the interval") {
    options.interval = 1h;
    Committer committer(store, options);
    CHECK(committer.write_and_wait(one("1")).ok());
    store.memory->forget_unsynced();
    CHECK(contents(store, Family::sessions).empty());
  }
  SUBCASE("a sync that fails is a failure of the store") {
    options.interval = 0ms;
    store.memory->fail_sync(1, io_error);
    Committer committer(store, options);
    CHECK(committer.write_and_wait(one("1")).ok());
    while (committer.statistics().reopens == 0) {
      std::this_thread::yield();
    }
    CHECK(committer.statistics().failures == 1);
    store.memory->heal();
    CHECK(committer.write_and_wait(one("2")).ok());
  }
  CHECK(store.counts.size() >= 1);
}

TEST_CASE("the committer writes what was submitted before it goes") {
  GatedStore store;
  Ends ends;
  {
    Committer committer(store, {});
    for (int index = 0; index < 1000; ++index) {
      committer.submit(one(std::to_string(index)), ends.expect(""));
    }
  }
  CHECK(ends.wait() == std::vector<StatusCode>(1000, ok));
  CHECK(contents(store, Family::sessions).size() == 1000);
}

TEST_CASE("queued bytes are counted and limited, and the statistics add up") {
  GatedStore store;
  store.close_gate();
  CommitterOptions options;
  options.queue_bytes_max = 1000;
  Committer committer(store, options);
  Ends ends;
  committer.submit(one("a", std::string(900, 'x')), ends.expect(""));
  CHECK_FALSE(committer.over_limit());
  committer.submit(one("b", std::string(900, 'x')), ends.expect(""));
  CHECK(committer.over_limit());
  store.open_gate();
  ends.wait();
  CHECK_FALSE(committer.over_limit());
  const CommitterStatistics& statistics = committer.statistics();
  CHECK(statistics.queued_bytes == 0);
  CHECK(statistics.batches == 2);
  CHECK(statistics.operations == 2);
  CHECK(statistics.bytes == 2 * (900 + 1 + 10));
  std::uint64_t counted = 0;
  for (const auto& count : statistics.commit_time_counts) {
    counted += count;
  }
  CHECK(counted == statistics.commits);
}

TEST_CASE("completions run on the thread that commits") {
  const auto store = MemoryStore::create();
  std::string name;
  {
    Committer committer(*store, {});
    committer.submit(one("1"), [&](const Status&) {
      char text[16];
      pthread_getname_np(pthread_self(), text, sizeof text);
      name = text;
    });
  }
  CHECK(name == "skerry-commit");
}

TEST_CASE("many threads submit at once and each keeps its order") {
  constexpr std::uint64_t batches_each = 10'000;
  struct Submitter final : Committer::Sink {
    void committed(std::uint64_t last_ticket, const Status& status) override {
      in_order = in_order && status.ok() && last_ticket > last;
      last = last_ticket;
    }
    std::uint64_t last = 0;
    bool in_order = true;
  };
  const auto store = MemoryStore::create();
  std::array<Submitter, 4> submitters;
  {
    Committer committer(*store, {});
    std::vector<std::thread> threads;
    for (std::size_t index = 0; index < submitters.size(); ++index) {
      threads.emplace_back([&, index] {
        const std::string key = "thread " + std::to_string(index);
        for (std::uint64_t ticket = 1; ticket <= batches_each; ++ticket) {
          committer.submit(one(key, std::to_string(ticket)), submitters[index], ticket);
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
  for (const Submitter& submitter : submitters) {
    CHECK(submitter.in_order);
    CHECK(submitter.last == batches_each);
  }
  for (const auto& [key, value] : contents(*store, Family::sessions)) {
    CHECK(value == std::to_string(batches_each));
  }
}

TEST_CASE("a finish sees its batch in the order of the disk, and its failure is its own") {
  const auto memory = MemoryStore::create();
  Ends ends;
  {
    Committer committer(*memory, quick_options());
    int place = 0;
    for (int index = 0; index < 20; ++index) {
      committer.submit({}, ends.expect(std::to_string(index)), [&place, index](Batch& batch) {
        CHECK(place == index);
        ++place;
        if (index == 7) {
          return Status{StatusCode::corruption, "no place for this one"};
        }
        batch.put(Family::sessions, "key" + std::to_string(index), std::to_string(place));
        return Status{};
      });
    }
    ends.wait();
  }
  const auto codes = ends.wait();
  for (std::size_t index = 0; index < codes.size(); ++index) {
    CHECK(codes[index] == (index == 7 ? StatusCode::corruption : ok));
  }
  CHECK(value_of(*memory, Family::sessions, "key19") == "20");
  CHECK(contents(*memory, Family::sessions).size() == 19);
}

TEST_CASE("a finish is not asked while the store is broken") {
  const auto memory = MemoryStore::create();
  Ends ends;
  Committer committer(*memory, quick_options());
  memory->fail_write(1, io_error);
  int asked = 0;
  const auto finish = [&asked](Batch& batch) {
    ++asked;
    batch.put(Family::sessions, "key", "value");
    return Status{};
  };
  committer.submit(one("a"), ends.expect("first"), finish);
  CHECK(ends.wait() == std::vector{io_error});
  memory->heal();
  wait_until_healthy(committer);
  committer.submit(one("b"), ends.expect("second"), finish);
  CHECK(ends.wait() == std::vector{io_error, ok});
  CHECK(asked == 2);
  CHECK(committer.statistics().queued_bytes == 0);
}
