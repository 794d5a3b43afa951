// Idempotency keys.
#include "admin-api/idempotency.hpp"

#include <algorithm>
#include <boost/asio/awaitable.hpp>

#include "crypto/hash.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;

constexpr std::size_t key_bytes_max = 255;

bool is_key(std::string_view key) {
  return !key.empty() && key.size() <= key_bytes_max &&
         std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

/// Parts with their lengths, so that no two lists of parts look the same.
std::string joined(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) {
    text.append(std::to_string(part.size())).append(1, ':').append(part);
  }
  return text;
}

std::string fingerprint_of(const http::Request& request) {
  std::string query;
  for (const auto& [name, value] : request.query) {
    query += joined({name, value});
  }
  return crypto::sha256_hex(
      joined({request.method, request.path, query, request.header("content-type"),
              request.header("if-match"), request.header("if-none-match"), request.body}));
}

http::Response in_progress() {
  http::Response response =
      http::problem(409, "request_in_progress", "a request with this Idempotency-Key is under way");
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

std::size_t size_of(const http::Response& response) {
  std::size_t bytes = sizeof(http::Response) + response.body.size();
  for (const auto& [name, value] : response.headers) {
    bytes += name.size() + value.size();
  }
  return bytes;
}

}  // namespace

void IdempotencyStore::forget(Entries::iterator entry) {
  if (entry->second.answered) {
    bytes_ -= entry->second.bytes;
    order_.erase(entry->second.place);
  }
  entries_.erase(entry);
}

/// What has lived its time goes, then the oldest while there is too much. Those under way stay:
/// there are no more of them than connections.
void IdempotencyStore::make_room() {
  const SteadyTime now = clock_();
  while (!order_.empty()) {
    const auto oldest = entries_.find(order_.front());
    const bool late = oldest->second.until <= now;
    if (!late && order_.size() <= limits_.answers_max && bytes_ <= limits_.bytes_max) {
      return;
    }
    forgotten_ += late ? 0 : 1;
    forget(oldest);
  }
}

void IdempotencyStore::keep(Entries::iterator entry, const http::Response& response) {
  const std::size_t bytes = size_of(response);
  if (response.status >= 500 || response.status == 429 || response.stream ||
      bytes > limits_.answer_bytes_max) {
    forget(entry);
    return;
  }
  entry->second.answered = true;
  entry->second.response = response;
  entry->second.response.headers.emplace_back("Idempotency-Replayed", "true");
  entry->second.bytes = bytes;
  entry->second.until = clock_() + limits_.life;
  entry->second.place = order_.insert(order_.end(), entry->first);
  bytes_ += bytes;
  make_room();
}

awaitable<http::Response> IdempotencyStore::run(const http::Handler& handler,
                                                const http::Request& request) {
  const std::string_view key = request.header("idempotency-key");
  if (request.headers.find("idempotency-key") == request.headers.end()) {
    co_return co_await handler(request);
  }
  if (!is_key(key)) {
    co_return http::problem(400, "invalid_idempotency_key",
                            "an Idempotency-Key is 1 to 255 visible ASCII characters");
  }
  make_room();
  const std::string name = crypto::sha256_hex(joined({request.principal, key}));
  std::string fingerprint = fingerprint_of(request);
  if (const auto known = entries_.find(name); known != entries_.end()) {
    if (known->second.fingerprint != fingerprint) {
      co_return http::problem(422, "idempotency_key_reused",
                              "this Idempotency-Key was used for another request");
    }
    co_return known->second.answered ? known->second.response : in_progress();
  }
  const auto entry = entries_.try_emplace(name).first;
  entry->second.fingerprint = std::move(fingerprint);
  // A handler that throws has no answer, so the key is free again.
  std::exception_ptr thrown;
  http::Response response;
  try {
    response = co_await handler(request);
  } catch (const std::exception&) {
    thrown = std::current_exception();
  }
  if (thrown) {
    forget(entry);
    std::rethrow_exception(thrown);
  }
  keep(entry, response);
  co_return response;
}

void make_idempotent(http::EndpointTable& table, IdempotencyStore& store) {
  for (http::Endpoint& endpoint : table) {
    if (endpoint.method != "POST" || endpoint.guard != http::Guard::token ||
        endpoint.streams_body) {
      continue;
    }
    endpoint.handler = [handler = std::move(endpoint.handler), &store](
                           const http::Request& request) { return store.run(handler, request); };
  }
}

}  // namespace skerry::admin_api
