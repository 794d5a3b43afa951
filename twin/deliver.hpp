// From an Answer to a response: what fits into one chunk is sent whole, the rest is streamed step
// by step, each step on the reader pool. Private to the endpoints of the twin.
#pragma once

#include <memory>

#include "http/message.hpp"
#include "storage/reader_pool.hpp"
#include "twin/answer.hpp"

namespace skerry::twin {

struct Delivery {
  AnswerForm form = AnswerForm::json;
  bool whole = false;  ///< a page: gathered before anything is sent, its cursor in a header
  /// For answers about one device: it when it is not registered, so that no rows mean 404.
  std::string doubted_device;
};

/// Runs the answer. A reader that goes or stalls ends it; what fails after the head has left cuts
/// the connection. `store` and `pool` must outlive the response.
boost::asio::awaitable<http::Response> deliver(const SeriesStore& store, storage::ReaderPool& pool,
                                               std::shared_ptr<Answer> answer, Delivery delivery);

http::Response device_not_found();
http::Response pool_busy();
http::Response storage_failure(const storage::Status& status);

}  // namespace skerry::twin
