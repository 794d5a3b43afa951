// Bridges from coroutines of the admin loop to what blocks or completes elsewhere: reader pool,
// committer, callbacks from cores.
//
// g++ 12 destroys a lambda twice when it is written inside a co_await expression and captures
// anything with a destructor. Such a lambda is given a name first, here and by every caller:
//   auto start = [id](auto done) { … };
//   co_await await_callback<T>(std::move(start));
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

#include "storage/committer.hpp"
#include "storage/reader_pool.hpp"

namespace skerry::http {

/// Calls `start(done)`; `done(T)` may be called once from any thread; resumes on the coroutine's
/// own executor with the value.
template <typename T, typename Start>
boost::asio::awaitable<T> await_callback(Start start) {
  auto executor = co_await boost::asio::this_coro::executor;
  auto initiate = [executor](auto handler, Start begin) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    begin([executor, shared](T value) {
      boost::asio::post(
          executor, [shared, value = std::move(value)]() mutable { (*shared)(std::move(value)); });
    });
  };
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(T)>(
      std::move(initiate), boost::asio::use_awaitable, std::move(start));
}

/// Runs `work` on the reader pool and gives its result. When the pool's queue is full, `busy()`
/// gives the answer instead, on this thread.
template <typename T, typename Work, typename Busy>
boost::asio::awaitable<T> run_blocking(storage::ReaderPool& pool, Work work, Busy busy) {
  auto start = [&pool, work, busy](auto done) {
    if (!pool.run([work, done] { done(work()); })) {
      done(busy());
    }
  };
  co_return co_await await_callback<T>(std::move(start));
}

/// Stores `batch` and resumes when it is durable or has failed.
boost::asio::awaitable<storage::Status> commit(storage::Committer& committer, storage::Batch batch);

}  // namespace skerry::http
