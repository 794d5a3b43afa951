// A server on a port of its own with its loop on a thread, and a client that sends raw bytes.
#include "unit/http/test_server.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <stdexcept>

namespace skerry::http {
namespace {

using boost::asio::awaitable;
using boost::asio::ip::tcp;

awaitable<Response> echo(const Request& request) {
  Response response;
  response.content_type = "text/plain";
  response.body = request.method + " " + request.path + " [" + request.body + "]";
  for (const auto& [name, value] : request.parameters) {
    response.body += " " + name + "=" + value;
  }
  for (const auto& [name, value] : request.query) {
    response.body += " " + name + "~" + value;
  }
  if (!request.principal.empty()) {
    response.body += " by " + request.principal;
  }
  co_return response;
}

awaitable<Response> fail(const Request&) {
  throw std::runtime_error("the secret reason");
  co_return Response{};
}

}  // namespace

EndpointTable test_endpoints() {
  return {
      {"GET", "/echo", Guard::none, 1024, &echo},
      {"POST", "/echo", Guard::none, 1024, &echo},
      {"GET", "/things/{id}", Guard::none, 0, &echo},
      {"GET", "/things/special", Guard::none, 0, &echo},
      {"POST", "/things/{id}:stop", Guard::none, 0, &echo},
      {"GET", "/guarded", Guard::token, 0, &echo},
      {"GET", "/fail", Guard::none, 0, &fail},
  };
}

TestServer::TestServer(ServerOptions options, EndpointTable endpoints) {
  if (options.name.empty()) {
    options.name = "test";
  }
  if (options.bind.empty()) {
    options.bind = "127.0.0.1:0";
  }
  server_ = std::make_unique<Server>(io_, std::move(options), std::move(endpoints));
  port_ = server_->port();
  thread_ = std::thread([this] { io_.run(); });
}

TestServer::~TestServer() {
  std::promise<void> gone;
  boost::asio::post(io_, [&] {
    server_.reset();
    gone.set_value();
  });
  gone.get_future().wait();
  io_.stop();
  thread_.join();
}

std::string TestServer::exchange(std::string_view bytes) const {
  boost::asio::io_context io;
  tcp::socket socket{io};
  socket.connect({boost::asio::ip::address_v4::loopback(), port_});
  boost::system::error_code error;
  boost::asio::write(socket, boost::asio::buffer(bytes), error);
  std::string answer;
  boost::asio::read(socket, boost::asio::dynamic_buffer(answer), error);
  return answer;
}

std::string request(std::string_view line, std::string_view headers, std::string_view body) {
  std::string text{line};
  text.append(" HTTP/1.1\r\nHost: test\r\nConnection: close\r\n").append(headers);
  if (!body.empty()) {
    text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  }
  return text.append("\r\n").append(body);
}

int count(std::string_view text, std::string_view part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size())) {
    ++found;
  }
  return found;
}

}  // namespace skerry::http
