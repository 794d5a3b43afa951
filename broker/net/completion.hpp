// Completion: news from the committer for one core. The committer's thread leaves what is done
// here; the core is woken once however many groups were committed meanwhile.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "net/work_queue.hpp"
#include "storage/committer.hpp"

namespace skerry::net {

class Completion final : public storage::Committer::Sink {
 public:
  struct Group {
    std::uint64_t last_ticket = 0;
    storage::Status status;
  };

  /// `wake` is posted to `work` when there is news.
  Completion(WorkQueue& work, std::function<void()> wake) : work_(work), wake_(std::move(wake)) {}

  /// On the committer's thread.
  void committed(std::uint64_t last_ticket, const storage::Status& status) override;

  /// What has been committed since the last call, oldest first. On the core.
  std::vector<Group> take();

 private:
  WorkQueue& work_;
  std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<Group> groups_;  // not empty: a wake-up is under way
};

}  // namespace skerry::net
