#include "twin/deliver.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <stdexcept>

#include "http/await.hpp"

namespace skerry::twin {
namespace {

using boost::asio::awaitable;
using storage::Status;

/// How long an answer that has begun waits for a place in the pool's queue.
constexpr std::chrono::milliseconds busy_pause{50};
constexpr int busy_tries_max = 200;

struct StepOutcome {
  Status status;
  bool busy = false;
  bool done = false;
  std::string text;
};

StepOutcome busy_outcome() {
  StepOutcome outcome;
  outcome.busy = true;
  return outcome;
}

awaitable<StepOutcome> run_step(storage::ReaderPool& pool, std::shared_ptr<Answer> answer) {
  auto work = [answer] {
    StepOutcome outcome;
    const auto state = answer->step(outcome.text);
    if (state.has_error()) {
      outcome.status = state.error();
    } else {
      outcome.done = *state == AnswerState::done;
    }
    return outcome;
  };
  co_return co_await http::run_blocking<StepOutcome>(pool, work, &busy_outcome);
}

/// A step of an answer whose head has left: it cannot be told to come back later, so it waits.
awaitable<StepOutcome> run_later_step(storage::ReaderPool& pool, std::shared_ptr<Answer> answer) {
  for (int tries = 0; tries < busy_tries_max; ++tries) {
    StepOutcome outcome = co_await run_step(pool, answer);
    if (!outcome.busy) {
      co_return outcome;
    }
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, busy_pause);
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
  throw std::runtime_error("the reader pool was busy for too long");
}

awaitable<void> stream(storage::ReaderPool& pool, std::shared_ptr<Answer> answer, std::string text,
                       http::BodyWriter& writer) {
  for (bool done = false;;) {
    if (!text.empty()) {
      const bool alive = co_await writer.write(text);
      if (!alive) {
        co_return;
      }
    }
    if (done) {
      co_return;
    }
    StepOutcome outcome = co_await run_later_step(pool, answer);
    if (!outcome.status.ok()) {
      throw std::runtime_error("the store could not be read: " + outcome.status.detail);
    }
    done = outcome.done;
    text = std::move(outcome.text);
  }
}

http::Response head(const Delivery& delivery) {
  http::Response response;
  response.content_type = content_type_of(delivery.form);
  response.headers.emplace_back("Vary", "Accept");
  return response;
}

awaitable<std::optional<http::Response>> refuse_unknown(const SeriesStore& store,
                                                        storage::ReaderPool& pool,
                                                        std::string device) {
  using Answered = std::optional<http::Response>;
  auto work = [&store, device]() -> Answered {
    const auto has_data = store.has_data(device);
    if (has_data.has_error()) {
      return storage_failure(has_data.error());
    }
    return *has_data ? Answered{} : Answered{device_not_found()};
  };
  auto busy = []() -> Answered { return pool_busy(); };
  co_return co_await http::run_blocking<Answered>(pool, work, busy);
}

http::Response try_again_later(std::string_view code, std::string_view detail) {
  http::Response response = http::problem(503, code, detail);
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace

http::Response device_not_found() {
  return http::problem(404, "device_not_found",
                       "There is no device of this id and no telemetry of one.");
}

http::Response pool_busy() {
  return try_again_later("busy", "Too many queries are waiting; try again in a moment.");
}

http::Response storage_failure(const Status& status) {
  if (status.code == storage::StatusCode::closed) {
    return try_again_later("storage_unavailable", "The store is being reopened.");
  }
  if (status.code == storage::StatusCode::full) {
    return http::problem(422, "too_many_buckets",
                         "This answer is too large: " + status.detail +
                             ". Take a longer step, a shorter range or fewer keys.");
  }
  return http::problem(500, "storage_error", "The store could not be read: " + status.detail);
}

awaitable<http::Response> deliver(const SeriesStore& store, storage::ReaderPool& pool,
                                  std::shared_ptr<Answer> answer, Delivery delivery) {
  std::string text;
  for (bool done = false; !done;) {
    StepOutcome outcome = co_await run_step(pool, answer);
    if (outcome.busy) {
      co_return pool_busy();
    }
    if (!outcome.status.ok()) {
      co_return storage_failure(outcome.status);
    }
    text += outcome.text;
    done = outcome.done;
    if (!done && !delivery.whole && text.size() >= answer_chunk_bytes / 2) {
      http::Response response = head(delivery);
      response.stream = [&pool, answer, text = std::move(text)](http::BodyWriter& writer) {
        return stream(pool, answer, text, writer);
      };
      co_return response;
    }
  }
  if (!answer->any() && !delivery.doubted_device.empty()) {
    auto refused = co_await refuse_unknown(store, pool, delivery.doubted_device);
    if (refused) {
      co_return *std::move(refused);
    }
  }
  http::Response response = head(delivery);
  response.body = std::move(text);
  if (const auto next = answer->next()) {
    response.headers.emplace_back("Skerry-Next-Cursor", encode_cursor(*next));
  }
  co_return response;
}

}  // namespace skerry::twin
