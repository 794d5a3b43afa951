// A server on a port of its own with its loop on a thread, and a client that sends raw bytes.
#pragma once

#include <boost/asio/io_context.hpp>
#include <string>
#include <thread>

#include "http/server.hpp"

namespace skerry::http {

/// The table that these tests ask: echo, a small cap, a parameter, a guarded and a failing route.
EndpointTable test_endpoints();

class TestServer {
 public:
  explicit TestServer(ServerOptions options = {}, EndpointTable endpoints = test_endpoints());
  ~TestServer();

  std::uint16_t port() const { return port_; }
  /// Sends the bytes, keeps its side open and reads until the server closes.
  std::string exchange(std::string_view bytes) const;

 private:
  boost::asio::io_context io_;
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

/// A whole request with `Connection: close`.
std::string request(std::string_view line, std::string_view headers = {},
                    std::string_view body = {});

/// How often `part` occurs.
int count(std::string_view text, std::string_view part);

}  // namespace skerry::http
