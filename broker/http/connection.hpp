// One HTTP/1.1 connection: reads requests one after the other, finds the endpoint, runs it and
// writes the answer. Caps and deadlines are kept here; pipelined requests wait in the buffer.
//
//   handshake → [idle] → head → route → guard → body → handler → answer → [idle] …
//                          └────────┴───────┴──────┴→ problem → (close when a body is unread)
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>

#include "http/byte_stream.hpp"
#include "http/route.hpp"
#include "http/server.hpp"

namespace skerry::http {

/// What all connections of one server share. It lives as long as the last of them.
struct Service {
  Service(ServerOptions server_options, EndpointTable table);
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  std::string next_request_id();

  ServerOptions options;
  EndpointTable endpoints;
  Router router;

 private:
  std::string id_prefix_;
  std::uint64_t requests_ = 0;
};

/// Serves until the peer leaves, a deadline passes or the stream is closed.
boost::asio::awaitable<void> serve_connection(std::shared_ptr<Service> service,
                                              std::shared_ptr<ByteStream> stream);

}  // namespace skerry::http
