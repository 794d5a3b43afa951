// WorkQueue: what a core is given to do by other threads, or by itself for later: mail, arrivals,
// news from the committer, questions of the admin side. Any thread posts; the core runs. Its
// descriptor becomes readable with the first piece, so the core waits for it as for a socket, and
// whatever comes until the core looks costs no further system call.
#pragma once

#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

namespace skerry::net {

class WorkQueue {
 public:
  WorkQueue();
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// Readable while there is work. Owned here.
  int descriptor() const noexcept { return descriptor_; }

  /// `work` is moved in and run once, in the order of posting. Dropped unrun once the queue is
  /// closed. Any thread.
  template <typename Function>
  void post(Function&& work) {
    add(std::make_unique<Holder<std::decay_t<Function>>>(std::forward<Function>(work)));
  }

  /// Runs what is here; what is posted meanwhile waits for the next call. On the core.
  void run();

  /// Drops what is here and all that comes. Any thread but one that is in post().
  void close();

 private:
  struct Work {
    virtual ~Work() = default;
    virtual void run() = 0;
  };
  template <typename Function>
  struct Holder final : Work {
    explicit Holder(Function work) : function(std::move(work)) {}
    void run() override { function(); }
    Function function;
  };

  void add(std::unique_ptr<Work> work);

  const int descriptor_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Work>> waiting_;  ///< guarded by mutex_
  bool closed_ = false;                         ///< guarded by mutex_
  std::vector<std::unique_ptr<Work>> running_;  ///< the core's own; keeps its memory
};

}  // namespace skerry::net
