// skerry-series-crash CYCLES DIRECTORY: a child appends telemetry, erases and seals; it is killed
// by SIGKILL at a random moment; then every acknowledged sample must be there once, none that was
// erased, what was under way whole or not at all, and every roll-up equal to the samples.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <random>
#include <thread>

#include "crash/series/journal.hpp"
#include "storage/committer.hpp"
#include "twin/series/chunk_series_store.hpp"
#include "unit/twin/series/model.hpp"

namespace {

using namespace skerry;
using namespace skerry::crash;
using twin::series::test::Model;

constexpr std::int64_t begin_time = 1'700'000'000'000;
const std::vector<std::string> devices = {"a", "a1", "b", "c"};
const std::vector<std::string> keys = {"t", "count", "state"};

[[noreturn]] void fail(const std::string& what) {
  std::cerr << "FAILED: " << what << "\n";
  std::_Exit(1);
}

struct Open {
  std::unique_ptr<storage::KvStore> store;
  std::unique_ptr<storage::Committer> committer;
  std::unique_ptr<twin::series::ChunkSeriesStore> series;

  ~Open() {
    if (series) {
      series->stop();
    }
    committer.reset();
  }
};

std::unique_ptr<Open> open_store(const std::string& directory) {
  auto open = std::make_unique<Open>();
  storage::RocksOptions rocks;
  rocks.directory = directory;
  // Small, so that a cycle sees flushes of the engine too.
  rocks.write_buffer_bytes = 256 * 1024;
  auto opened = storage::open_rocks_store(rocks);
  if (!opened.status.ok()) {
    fail("the store does not open: " + opened.status.detail);
  }
  open->store = std::move(opened.store);
  open->committer = std::make_unique<storage::Committer>(*open->store, storage::CommitterOptions{});
  twin::series::SeriesStoreOptions options;
  options.store = open->store.get();
  options.write = [committer = open->committer.get()](storage::Batch batch) {
    return committer->write_and_wait(std::move(batch));
  };
  options.clock = read_clocks;
  options.limits.seal_samples = 60;
  options.limits.seal_rows = 40;
  open->series = std::make_unique<twin::series::ChunkSeriesStore>(std::move(options));
  if (const auto status = open->series->open(); !status.ok()) {
    fail("the series store does not open: " + status.detail);
  }
  return open;
}

/// What `device` does as its operation `number`: mostly the next samples, at times late ones, the
/// same again, or an erasure.
Operation plan(const std::string& device, std::uint64_t number, std::mt19937& random) {
  Operation operation;
  operation.number = number;
  const auto now = begin_time + static_cast<std::int64_t>(number) * 1000;
  const std::uint32_t dice = static_cast<std::uint32_t>(random()) % 100;
  if (dice < 3) {
    const std::int64_t from = now - static_cast<std::int64_t>(random() % 2'000'000);
    operation.erase = {device, dice == 0 ? std::nullopt : std::optional(keys[random() % 3]), from,
                       from + static_cast<std::int64_t>(random() % 200'000)};
    return operation;
  }
  operation.count = 1 + static_cast<int>(random() % 9);
  operation.time = dice < 10 ? 2 * begin_time - now - 1'000'000 : now;
  return operation;
}

void carry_out(Open& open, const std::string& device, const Operation& operation,
               Journal& journal) {
  storage::Batch batch;
  if (operation.erase) {
    open.series->erase(*operation.erase, batch);
  } else {
    const auto planned = samples_of(operation);
    std::vector<twin::Sample> samples;
    for (const PlannedSample& each : planned) {
      twin::Sample sample{each.key, each.sample.timestamp, std::int64_t{0}, 0};
      std::visit([&sample](const auto& value) { sample.value = value; }, each.sample.value);
      samples.push_back(sample);
    }
    if (open.series->append(device, samples, batch) != twin::AppendResult::stored) {
      fail("the store refused samples");
    }
    if (operation.number % 13 == 0) {  // A publisher that did not hear the acknowledgement.
      static_cast<void>(open.series->append(device, samples, batch));
    }
  }
  journal.set_out(device, operation);
  if (open.committer->write_and_wait(std::move(batch)).ok()) {
    journal.acknowledged(device, operation.number);
  } else {
    fail("a batch could not be written");
  }
}

[[noreturn]] void child(const std::string& directory, std::uint32_t seed) {
  const auto done = Journal::read(directory + "/journal");
  Journal journal(directory + "/journal");
  const auto open = open_store(directory + "/store");
  open->series->start();
  std::vector<std::thread> threads;
  for (const std::string& device : devices) {
    threads.emplace_back([&, device] {
      std::mt19937 random(seed + static_cast<std::uint32_t>(device.back()));
      const auto known = done.find(device);
      std::uint64_t number = known == done.end() ? 1 : known->second.back().number + 1;
      for (;; ++number) {
        carry_out(*open, device, plan(device, number, random), journal);
      }
    });
  }
  threads.front().join();
  std::_Exit(1);  // They never end.
}

class Verifier {
 public:
  explicit Verifier(const std::string& directory)
      : journal_(directory + "/journal"), open_(open_store(directory + "/store")) {
    for (auto& [device, operations] : Journal::read(directory + "/journal")) {
      verify(device, operations);
    }
  }
  std::uint64_t samples() const noexcept { return samples_; }

 private:
  std::vector<twin::StoredSample> stored(const std::string& device, const std::string& key) {
    std::vector<twin::StoredSample> out;
    twin::SeriesQuery query;
    query.device = device;
    query.keys = {key};
    query.limit = series_page_samples_max;
    do {
      const auto page = open_->series->query(query);
      if (page.has_error()) {
        fail("a query ends as " + page.error().detail);
      }
      for (const auto& series : page->series) {
        out.insert(out.end(), series.samples.begin(), series.samples.end());
      }
      query.start = page->next;
    } while (query.start);
    return out;
  }

  /// Of the last operation nobody knows: it must be done or not, in all series alike.
  void resolve(const std::string& device, const Operation& operation) {
    Model with = model_;
    apply(with, device, operation);
    const bool done = agrees(with, device);
    if (!done && !agrees(model_, device)) {
      fail("device " + device + ": operation " + std::to_string(operation.number) +
           " is neither done nor undone");
    }
    if (done) {
      model_ = std::move(with);
    }
    journal_.resolved(device, operation.number, done);
  }

  bool agrees(Model& model, const std::string& device) {
    for (const std::string& key : keys) {
      const auto found = stored(device, key);
      const auto wanted = model.samples(device, key, INT64_MIN, INT64_MAX);
      if (found.size() != wanted.size()) {
        return false;
      }
      for (std::size_t i = 0; i < found.size(); ++i) {
        if (!twin::series::test::same(found[i], wanted[i])) {
          return false;
        }
      }
    }
    return true;
  }

  static void apply(Model& model, const std::string& device, const Operation& operation) {
    if (operation.erase) {
      model.erase(*operation.erase);
      return;
    }
    for (const PlannedSample& each : samples_of(operation)) {
      model.append(device, each.key, each.sample);
    }
  }

  void verify(const std::string& device, const std::vector<Operation>& operations) {
    for (const Operation& operation : operations) {
      if (operation.fate == Operation::Fate::done) {
        apply(model_, device, operation);
      } else if (operation.fate == Operation::Fate::unknown) {
        if (&operation != &operations.back()) {
          fail("the journal has a hole");
        }
        resolve(device, operation);
      }
    }
    if (!agrees(model_, device)) {
      fail("device " + device + " does not hold what was acknowledged");
    }
    for (const std::string& key : keys) {
      samples_ += model_.samples(device, key, INT64_MIN, INT64_MAX).size();
      verify_buckets(device, key);
    }
  }

  void verify_buckets(const std::string& device, const std::string& key) {
    for (const std::int64_t step : {60'000LL, 3'600'000LL, 86'400'000LL}) {
      twin::AggregateQuery query;
      query.device = device;
      query.keys = {key};
      query.step = step;
      query.limit = series_page_samples_max;
      const auto wanted = model_.buckets(device, key, query);
      std::size_t at = 0;
      do {
        const auto page = open_->series->aggregate(query);
        if (page.has_error()) {
          fail("an aggregate ends as " + page.error().detail);
        }
        for (const auto& series : page->series) {
          for (const auto& bucket : series.buckets) {
            if (at == wanted.size() || !twin::series::test::same(bucket, wanted[at++])) {
              fail("a roll-up of " + device + " " + key + " is not what its samples are");
            }
          }
        }
        query.start = page->next;
      } while (query.start);
      if (at != wanted.size()) {
        fail("roll-ups of " + device + " " + key + " are missing");
      }
    }
  }

  Journal journal_;
  std::unique_ptr<Open> open_;
  Model model_;
  std::uint64_t samples_ = 0;
};

void run_child(const std::string& directory, std::uint32_t seed, std::chrono::milliseconds life) {
  const pid_t process = ::fork();
  if (process == 0) {
    child(directory, seed);
  }
  std::this_thread::sleep_for(life);
  int status = 0;
  if (::waitpid(process, &status, WNOHANG) == process) {
    fail("the child ended by itself");
  }
  ::kill(process, SIGKILL);
  ::waitpid(process, &status, 0);
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) {
    std::cerr << "usage: skerry-series-crash CYCLES DIRECTORY\n";
    return 2;
  }
  const unsigned long cycles = std::strtoul(words[1], nullptr, 10);
  const std::string directory = words[2];
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  std::mt19937 random(std::random_device{}());
  std::uint64_t samples = 0;
  for (unsigned long cycle = 1; cycle <= cycles; ++cycle) {
    const auto seed = static_cast<std::uint32_t>(random());
    run_child(directory, seed, std::chrono::milliseconds(300 + random() % 900));
    samples = Verifier(directory).samples();
    std::cout << "cycle " << cycle << ": " << samples << " samples, all there once\n" << std::flush;
  }
  std::filesystem::remove_all(directory);
  return 0;
}
