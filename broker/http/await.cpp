// The bridge from a coroutine to the committer.
#include "http/await.hpp"

namespace skerry::http {

boost::asio::awaitable<storage::Status> commit(storage::Committer& committer,
                                               storage::Batch batch) {
  auto start = [&committer, batch = std::move(batch)](auto done) mutable {
    committer.submit(std::move(batch), [done](const storage::Status& status) { done(status); });
  };
  co_return co_await await_callback<storage::Status>(std::move(start));
}

}  // namespace skerry::http
