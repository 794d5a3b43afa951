// The bridge from a coroutine to the audit: a change and its record as one commit.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "auth/registry.hpp"
#include "http/message.hpp"
#include "plugin/audit.hpp"

namespace skerry::admin_api {

/// Stores both and resumes when they are durable or have failed.
boost::asio::awaitable<storage::Status> commit(plugin::AuditLog& audit, storage::Batch batch,
                                               plugin::AuditEvent event);

/// Who asks, for the record.
auth::Actor actor_of(const http::Request& request);

}  // namespace skerry::admin_api
