// A registry on a store in memory, an authority in a directory of its own, and a clock to turn.
#pragma once

#include <atomic>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "auth/authority.hpp"
#include "auth/registry.hpp"
#include "crypto/random.hpp"
#include "storage/committer.hpp"

namespace skerry::test {

inline const WallTime start_of_test = wall_from_epoch(1'800'000'000'000);

/// A directory that goes with its owner.
struct TemporaryDirectory {
  std::string path =
      (std::filesystem::temp_directory_path() / ("skerry-" + crypto::random_token(12))).string();
  TemporaryDirectory() { std::filesystem::create_directories(path); }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
};

/// Stores as PlainAudit does and keeps what it was told.
class NotingAudit final : public plugin::AuditLog {
 public:
  explicit NotingAudit(storage::Committer& committer) : committer_(committer) {}
  void submit(storage::Batch batch, plugin::AuditEvent event,
              storage::Committer::Done done) override {
    {
      const std::lock_guard lock{mutex_};
      events_.push_back(std::move(event));
    }
    committer_.submit(std::move(batch), std::move(done));
  }
  void note(plugin::AuditEvent) override {}
  void refused(const plugin::Refusal&) noexcept override {}

  std::vector<plugin::AuditEvent> events() const {
    const std::lock_guard lock{mutex_};
    return events_;
  }

 private:
  storage::Committer& committer_;
  mutable std::mutex mutex_;
  std::vector<plugin::AuditEvent> events_;
};

/// The registry with what is below it; restart() is a new process on the same store.
struct RegistryFixture {
  std::unique_ptr<storage::MemoryStore> store = storage::MemoryStore::create();
  std::unique_ptr<storage::Committer> committer;
  std::unique_ptr<NotingAudit> audit;
  std::unique_ptr<auth::DeviceRegistry> registry;

  RegistryFixture() { restart(); }
  ~RegistryFixture() { committer.reset(); }

  auth::DeviceRegistry::Loaded restart() {
    committer.reset();
    committer = std::make_unique<storage::Committer>(*store, storage::CommitterOptions{});
    audit = std::make_unique<NotingAudit>(*committer);
    registry = std::make_unique<auth::DeviceRegistry>(*audit);
    return registry->load(*store);
  }

  /// Calls start(done) and waits for the outcome.
  template <typename Start>
  static auth::RegistryOutcome wait(Start start) {
    auto promise = std::make_shared<std::promise<auth::RegistryOutcome>>();
    auto future = promise->get_future();
    start([promise](auth::RegistryOutcome outcome) { promise->set_value(std::move(outcome)); });
    return future.get();
  }

  auth::RegistryOutcome create(const std::string& id, std::vector<std::string> fingerprints) {
    auth::DevicePatch details;
    details.keys.emplace();
    for (std::string& fingerprint : fingerprints) {
      details.keys->push_back({std::move(fingerprint)});
    }
    return create(id, std::move(details));
  }
  auth::RegistryOutcome create(const std::string& id, auth::DevicePatch details) {
    return wait([&](auto done) { registry->create(id, details, change(), done); });
  }
  auth::RegistryOutcome erase(const std::string& id, auth::ChangeRequest request = change()) {
    return wait([&](auto done) { registry->erase(id, request, done); });
  }
  auth::RegistryOutcome record(const std::string& id, const std::string& fingerprint,
                               const std::string& serial,
                               WallTime not_after = start_of_test + std::chrono::hours{1}) {
    return wait([&](auto done) {
      registry->record_certificate(id, {fingerprint, {serial, not_after, start_of_test}}, change(),
                                   done);
    });
  }

  /// What a test asks for as an operator, `later` after the start.
  static auth::ChangeRequest change() { return change(Milliseconds{0}); }
  static auth::ChangeRequest change(Milliseconds later) {
    auth::ChangeRequest request;
    request.now = start_of_test + later;
    request.actor = {"user:admin", "192.0.2.7"};
    return request;
  }
};

/// A fingerprint that is valid and different for each number.
inline std::string fingerprint(unsigned number) {
  std::string text(64, '0');
  const std::string digits = std::to_string(number);
  return text.replace(64 - digits.size(), digits.size(), digits);
}

inline auth::RegistryError error_of(const auth::RegistryOutcome& outcome) {
  return outcome.error().code;
}

}  // namespace skerry::test
