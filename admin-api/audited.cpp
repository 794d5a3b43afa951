#include "admin-api/audited.hpp"

#include "http/await.hpp"

namespace skerry::admin_api {

boost::asio::awaitable<storage::Status> commit(plugin::AuditLog& audit, storage::Batch batch,
                                               plugin::AuditEvent event) {
  auto start = [&audit, batch = std::move(batch), event = std::move(event)](auto done) mutable {
    audit.submit(std::move(batch), std::move(event),
                 [done](const storage::Status& status) { done(status); });
  };
  co_return co_await http::await_callback<storage::Status>(std::move(start));
}

auth::Actor actor_of(const http::Request& request) {
  return {request.principal, request.peer_address};
}

}  // namespace skerry::admin_api
