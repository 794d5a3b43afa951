// Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a POST that carries one is done
// once, and whoever sends it again gets the first answer again. In memory only: answers may hold
// secrets that are nowhere else in the clear, so a restart forgets them.
//
//   new key ──▶ under way ──answer < 500──▶ answered, for 24 h or until room is needed
//                   └───────answer ≥ 500, stream──▶ forgotten: it may be tried again
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>

#include "base/now.hpp"
#include "http/endpoint.hpp"

namespace skerry::admin_api {

struct IdempotencyLimits {
  std::size_t answers_max = 10'000;           ///< the oldest give way
  std::size_t bytes_max = 32 * 1024 * 1024;   ///< of all answers; the oldest give way
  std::size_t answer_bytes_max = 256 * 1024;  ///< larger ones are not kept
  std::chrono::hours life{24};
};

/// Belongs to the admin loop.
class IdempotencyStore {
 public:
  IdempotencyStore(std::function<SteadyTime()> clock, IdempotencyLimits limits = {})
      : clock_(std::move(clock)), limits_(limits) {}

  /// Runs `handler` unless the request's `Idempotency-Key` says that this was done or is under way.
  /// 400 `invalid_idempotency_key`, 409 `request_in_progress`, 422 `idempotency_key_reused`. The
  /// request must outlive the answer.
  boost::asio::awaitable<http::Response> run(const http::Handler& handler,
                                             const http::Request& request);

  /// How many answers have been forgotten before their time.
  std::uint64_t forgotten() const noexcept { return forgotten_; }

 private:
  struct Entry {
    std::string fingerprint;  ///< of method, target, type and body
    bool answered = false;
    http::Response response;
    std::size_t bytes = 0;
    SteadyTime until{};
    std::list<std::string>::iterator place;  ///< in order_, once answered
  };
  using Entries = std::map<std::string, Entry, std::less<>>;

  void keep(Entries::iterator entry, const http::Response& response);
  void forget(Entries::iterator entry);
  void make_room();

  const std::function<SteadyTime()> clock_;
  const IdempotencyLimits limits_;
  Entries entries_;               ///< by hash of principal and key
  std::list<std::string> order_;  ///< of answered ones, oldest first
  std::size_t bytes_ = 0;
  std::uint64_t forgotten_ = 0;
};

/// Puts every POST that needs a token and has its body at hand behind the store, which must outlive
/// the table.
void make_idempotent(http::EndpointTable& table, IdempotencyStore& store);

}  // namespace skerry::admin_api
