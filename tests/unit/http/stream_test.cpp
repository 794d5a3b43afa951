// Streamed answers and streamed request bodies over a real socket.
#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <future>

#include "unit/http/test_server.hpp"

using namespace skerry::http;
using boost::asio::awaitable;
using boost::asio::ip::tcp;

namespace {

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// What handlers have seen, read by the test when the exchange is over.
struct Seen {
  std::atomic<std::size_t> written{0};
  std::promise<bool> write_failed;
  std::promise<std::string> body_error;
};

Response streamed(std::function<awaitable<void>(BodyWriter&)> stream) {
  Response response;
  response.content_type = "text/plain";
  response.body = "ignored";
  response.stream = std::move(stream);
  return response;
}

awaitable<Response> three_chunks(const Request&) {
  co_return streamed([](BodyWriter& writer) -> awaitable<void> {
    co_await writer.write("one");
    co_await writer.write("");
    co_await writer.write(std::string(20'000, 'x'));
    co_await writer.write("three");
  });
}

awaitable<Response> nothing(const Request&) {
  co_return streamed([](BodyWriter&) -> awaitable<void> { co_return; });
}

awaitable<Response> fail_late(const Request&) {
  co_return streamed([](BodyWriter& writer) -> awaitable<void> {
    co_await writer.write("part");
    throw std::runtime_error("the secret reason");
  });
}

awaitable<Response> fail_early(const Request&) {
  co_return streamed([](BodyWriter&) -> awaitable<void> {
    throw std::runtime_error("the secret reason");
    co_return;
  });
}

Handler endless(Seen& seen) {
  return [&seen](const Request&) -> awaitable<Response> {
    co_return streamed([&seen](BodyWriter& writer) -> awaitable<void> {
      const std::string chunk(64 * 1024, 'x');
      for (bool alive = true; alive;) {
        alive = co_await writer.write(chunk);
        seen.written += alive ? chunk.size() : 0;
      }
      const bool again = co_await writer.write("more");
      seen.write_failed.set_value(!again);
    });
  };
}

/// Answers how many bytes came in how many parts of at most 64 KiB.
awaitable<Response> count_body(const Request& request) {
  std::size_t bytes = 0;
  std::size_t largest = 0;
  for (auto part = co_await request.body_stream->read(); part;
       part = co_await request.body_stream->read()) {
    bytes += part->size();
    largest = std::max(largest, part->size());
  }
  const auto again = co_await request.body_stream->read();
  Response response;
  response.content_type = "text/plain";
  response.body = std::to_string(bytes) + (largest <= 64 * 1024 ? " ok" : " large") +
                  (again ? " endless" : " ended") + (request.body.empty() ? "" : " whole");
  co_return response;
}

/// Sends every part back while the rest is still coming.
awaitable<Response> echo_body(const Request& request) {
  co_return streamed([&request](BodyWriter& writer) -> awaitable<void> {
    for (auto part = co_await request.body_stream->read(); part;
         part = co_await request.body_stream->read()) {
      co_await writer.write("[" + *part + "]");
    }
  });
}

awaitable<Response> refuse_by_head(const Request& request) {
  co_return problem(409, "not_now", "not with " + std::string{request.header("content-type")});
}

Handler note_body_error(Seen& seen) {
  return [&seen](const Request& request) -> awaitable<Response> {
    try {
      for (auto part = co_await request.body_stream->read(); part;
           part = co_await request.body_stream->read()) {
      }
    } catch (const BodyError& error) {
      seen.body_error.set_value(error.what());
      throw;
    }
    co_return Response{};
  };
}

Endpoint reading(Endpoint endpoint) {
  endpoint.streams_body = true;
  return endpoint;
}

EndpointTable stream_endpoints(Seen& seen) {
  EndpointTable table{
      {"GET", "/three", Guard::none, 0, &three_chunks},
      {"GET", "/nothing", Guard::none, 0, &nothing},
      {"GET", "/late", Guard::none, 0, &fail_late},
      {"GET", "/early", Guard::none, 0, &fail_early},
      {"GET", "/endless", Guard::none, 0, endless(seen)},
      reading({"POST", "/count", Guard::none, 1024 * 1024, &count_body}),
      reading({"POST", "/echo", Guard::none, 1024 * 1024, &echo_body}),
      reading({"POST", "/refuse", Guard::none, 1024 * 1024, &refuse_by_head}),
      reading({"POST", "/note", Guard::none, 4096, note_body_error(seen)}),
  };
  return table;
}

/// Decodes a chunked body; nothing when it does not end with the last chunk.
std::optional<std::string> dechunk(std::string_view answer) {
  std::string_view rest = answer.substr(answer.find("\r\n\r\n") + 4);
  std::string body;
  while (!rest.empty()) {
    const std::size_t size =
        std::stoul(std::string{rest.substr(0, rest.find("\r\n"))}, nullptr, 16);
    rest.remove_prefix(rest.find("\r\n") + 2);
    if (size == 0) {
      return rest == "\r\n" ? std::optional{body} : std::nullopt;
    }
    if (rest.size() < size + 2) {
      return std::nullopt;
    }
    body.append(rest.substr(0, size));
    rest.remove_prefix(size + 2);
  }
  return std::nullopt;
}

const std::string chunked_head = "Transfer-Encoding: chunked\r\n";

struct Client {
  explicit Client(std::uint16_t port) {
    socket.connect({boost::asio::ip::address_v4::loopback(), port});
  }
  void write(std::string_view bytes) { boost::asio::write(socket, boost::asio::buffer(bytes)); }
  std::string read_until(std::string_view end) {
    std::string text;
    while (!text.ends_with(end)) {
      char byte = 0;
      boost::asio::read(socket, boost::asio::buffer(&byte, 1));
      text += byte;
    }
    return text;
  }

  boost::asio::io_context io;
  tcp::socket socket{io};
};

}  // namespace

TEST_CASE("a streamed answer is chunked, whole and leaves the connection usable") {
  Seen seen;
  const TestServer server{{}, stream_endpoints(seen)};
  const std::string answer = server.exchange(request("GET /three"));
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(has(answer, "Transfer-Encoding: chunked\r\n"));
  CHECK(has(answer, "Content-Type: text/plain\r\n"));
  CHECK_FALSE(has(answer, "Content-Length"));
  CHECK(dechunk(answer) == "one" + std::string(20'000, 'x') + "three");
  const std::string twice =
      server.exchange("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" + request("GET /nothing"));
  CHECK(count(twice, "\r\n\r\n0\r\n\r\n") == 2);
}

TEST_CASE("HEAD of a stream has its head and does not run it") {
  Seen seen;
  const TestServer server{{}, stream_endpoints(seen)};
  const std::string answer = server.exchange(request("HEAD /late"));
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(has(answer, "Transfer-Encoding: chunked\r\n"));
  CHECK(answer.ends_with("\r\n\r\n"));
  const std::string kept =
      server.exchange("HEAD /three HTTP/1.1\r\nHost: a\r\n\r\n" + request("GET /nothing"));
  CHECK(count(kept, "HTTP/1.1 200 OK") == 2);
}

TEST_CASE("HTTP/1.0 gets the stream until the close") {
  Seen seen;
  const TestServer server{{}, stream_endpoints(seen)};
  const std::string answer =
      server.exchange("GET /three HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(has(answer, "Connection: close\r\n"));
  CHECK_FALSE(has(answer, "Transfer-Encoding"));
  CHECK(answer.ends_with("\r\n\r\none" + std::string(20'000, 'x') + "three"));
}

TEST_CASE("a stream that fails midway is cut without the last chunk, earlier it is a 500") {
  std::string logged;
  ServerOptions options;
  options.log = [&](std::string_view line) { logged += line; };
  {
    Seen seen;
    const TestServer server{options, stream_endpoints(seen)};
    const std::string late = server.exchange(request("GET /late"));
    CHECK(has(late, "4\r\npart\r\n"));
    CHECK_FALSE(dechunk(late));
    CHECK_FALSE(has(late, "secret"));
    const std::string early = server.exchange(request("GET /early"));
    CHECK(early.starts_with("HTTP/1.1 500 "));
    CHECK_FALSE(has(early, "secret"));
    // Without chunks only a reset tells a part from the whole.
    Client old{server.port()};
    old.write("GET /late HTTP/1.0\r\n\r\n");
    std::string text;
    boost::system::error_code error;
    boost::asio::read(old.socket, boost::asio::dynamic_buffer(text), error);
    CHECK(error == boost::asio::error::connection_reset);
  }
  CHECK(count(logged, "the secret reason") == 3);
}

TEST_CASE("a reader that takes nothing stops the stream and is cut off after the timeout") {
  Seen seen;
  ServerOptions options;
  options.body_timeout = std::chrono::seconds{1};
  const TestServer server{options, stream_endpoints(seen)};
  Client client{server.port()};
  client.socket.set_option(tcp::socket::receive_buffer_size{4096});
  client.write(request("GET /endless"));
  CHECK(seen.write_failed.get_future().get());
  CHECK(seen.written.load() < 64 * 1024 * 1024);  // what sockets buffer, no more
}

TEST_CASE("a reader that is slow but goes on is served longer than any timeout") {
  Seen seen;
  ServerOptions options;
  options.body_timeout = std::chrono::seconds{1};
  const TestServer server{options, stream_endpoints(seen)};
  Client client{server.port()};
  client.write(request("GET /endless"));
  std::string buffer(4 * 1024 * 1024, '\0');
  boost::system::error_code error;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{2500};
  boost::asio::steady_timer pause{client.io};
  while (!error && std::chrono::steady_clock::now() < end) {
    boost::asio::read(client.socket, boost::asio::buffer(buffer), error);
    pause.expires_after(std::chrono::milliseconds{250});
    pause.wait();
  }
  CHECK_FALSE(error);
  client.socket.close();
  CHECK(seen.write_failed.get_future().get());
}

TEST_CASE("a client that leaves ends the stream") {
  Seen seen;
  const TestServer server{{}, stream_endpoints(seen)};
  {
    Client client{server.port()};
    client.write(request("GET /endless"));
    client.read_until("\r\n\r\n");
  }
  CHECK(seen.write_failed.get_future().get());
}

TEST_CASE("a streamed body comes in parts to its end, chunked or by length") {
  Seen seen;
  const TestServer server{{}, stream_endpoints(seen)};
  const std::string large(300'000, 'x');
  CHECK(has(server.exchange(request("POST /count", {}, large)), "\r\n\r\n300000 ok ended"));
  CHECK(has(server.exchange(request("POST /count")), "\r\n\r\n0 ok ended"));
  std::string chunks;
  for (int index = 0; index < 1000; ++index) {
    chunks += "5;name=value\r\nhello\r\n";
  }
  CHECK(has(server.exchange(request("POST /count", chunked_head) + chunks + "0\r\n\r\n"),
            "\r\n\r\n5000 ok ended"));
  const std::string twice =
      server.exchange("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" +
                      request("POST /count", {}, "de"));
  CHECK(has(twice, "\r\n\r\n3 ok ended"));
  CHECK(has(twice, "\r\n\r\n2 ok ended"));
}

TEST_CASE("chunks cut anywhere are put together") {
  Seen seen;
  const TestServer server{{}, stream_endpoints(seen)};
  const std::string bytes =
      request("POST /count", chunked_head) + "5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\n\r\n";
  const std::size_t body = bytes.find("\r\n\r\n") + 4;
  for (std::size_t cut = body; cut < bytes.size(); ++cut) {
    CAPTURE(cut);
    Client client{server.port()};
    client.socket.set_option(tcp::no_delay{true});
    client.write(bytes.substr(0, cut));
    client.write(bytes.substr(cut));
    std::string answer;
    boost::system::error_code error;
    boost::asio::read(client.socket, boost::asio::dynamic_buffer(answer), error);
    CHECK(has(answer, "\r\n\r\n8 ok ended"));
  }
}

TEST_CASE("results are written while the body is still coming") {
  Seen seen;
  const TestServer server{{}, stream_endpoints(seen)};
  Client client{server.port()};
  client.write("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.write("3\r\none\r\n");
  CHECK(has(client.read_until("[one]\r\n"), "200 OK"));
  client.write("3\r\ntwo\r\n");
  CHECK(client.read_until("\r\n[two]\r\n") == "5\r\n[two]\r\n");
  client.write("0\r\n\r\n");
  CHECK(client.read_until("0\r\n\r\n") == "0\r\n\r\n");
  client.write(request("POST /count", {}, "next"));
  CHECK(has(client.read_until("ended"), "4 ok ended"));
}

TEST_CASE("a streamed body above the cap is 413, malformed chunks are 400") {
  Seen seen;
  const TestServer server{{}, stream_endpoints(seen)};
  CHECK(server.exchange(request("POST /count", "Content-Length: 1048577\r\n"))
            .starts_with("HTTP/1.1 413 "));
  const std::string chunk = "1000\r\n" + std::string(4096, 'x') + "\r\n";
  const std::string above = server.exchange(request("POST /note", chunked_head) + chunk + chunk);
  CHECK(above.starts_with("HTTP/1.1 413 "));
  CHECK(has(above, R"("code":"body_too_large")"));
  const std::string bad = server.exchange(request("POST /count", chunked_head) + "zz\r\n");
  CHECK(bad.starts_with("HTTP/1.1 400 "));
  CHECK(count(bad, "HTTP/1.1 ") == 1);
}

TEST_CASE("the framing of a streamed body that never ends is refused and not kept") {
  Seen seen;
  ServerOptions options;
  options.header_bytes_max = 4096;
  options.body_timeout = std::chrono::seconds{5};
  const TestServer server{options, stream_endpoints(seen)};
  const std::string endless(64 * 1024, 'a');
  const std::string head = request("POST /count", chunked_head);
  CHECK(server.exchange(head + "5;x=" + endless).starts_with("HTTP/1.1 400 "));
  CHECK(server.exchange(head + "5\r\nhello\r\n0\r\nA: " + endless).starts_with("HTTP/1.1 400 "));
}

TEST_CASE("a body that dribbles or breaks off is cut, and the handler hears it") {
  for (const bool leaves : {false, true}) {
    Seen seen;
    ServerOptions options;
    options.body_timeout = std::chrono::seconds{1};
    const TestServer server{options, stream_endpoints(seen)};
    Client client{server.port()};
    client.write(request("POST /note", "Content-Length: 4000\r\n"));
    boost::asio::steady_timer pause{client.io};
    boost::system::error_code error;
    const auto start = std::chrono::steady_clock::now();
    for (int index = 0; index < 30 && !error; ++index) {
      boost::asio::write(client.socket, boost::asio::buffer("x", 1), error);
      if (leaves) {
        client.socket.close();
        break;
      }
      pause.expires_after(std::chrono::milliseconds{100});
      pause.wait();
    }
    CHECK(seen.body_error.get_future().get() == "the body ended before its end");
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{4});
    if (!leaves) {
      CHECK(error);
    }
  }
}

TEST_CASE("100 Continue comes when the body is asked for, a refusal without it") {
  Seen seen;
  const TestServer server{{}, stream_endpoints(seen)};
  const std::string headers = "Expect: 100-continue\r\nContent-Length: 2\r\n";
  CHECK(server.exchange(request("POST /count", headers) + "ok")
            .starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
  const std::string refused = server.exchange(request("POST /refuse", headers));
  CHECK(refused.starts_with("HTTP/1.1 409 "));
  CHECK(has(refused, "Connection: close\r\n"));
}
