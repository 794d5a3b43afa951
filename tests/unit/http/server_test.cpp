// The server over a real socket: what it answers, refuses and cuts off.
#include <doctest/doctest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "unit/http/test_server.hpp"

using namespace skerry::http;

namespace {

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("a handler gets path, parameters, query and body") {
  const TestServer server;
  CHECK(has(server.exchange(request("GET /echo?a=1&b=x%20y+z")), "GET /echo [] a~1 b~x y z"));
  CHECK(has(server.exchange(request("POST /echo", {}, "hello")), "POST /echo [hello]"));
  CHECK(has(server.exchange(request("GET /things/a%2Fb")), "id=a/b"));
  CHECK(has(server.exchange(request("GET /things/special")), "GET /things/special []\r\n") ==
        false);
  CHECK_FALSE(has(server.exchange(request("GET /things/special")), "id="));
  CHECK(has(server.exchange(request("POST /things/pump:stop")), "id=pump"));
}

TEST_CASE("every answer forbids caching and sniffing and names the request") {
  const TestServer server;
  const std::string answer = server.exchange(request("GET /echo"));
  CHECK(has(answer, "Cache-Control: no-store\r\n"));
  CHECK(has(answer, "X-Content-Type-Options: nosniff\r\n"));
  CHECK(has(answer, "X-Request-Id: "));
  CHECK(has(answer, "Date: "));
  CHECK_FALSE(has(answer, "Strict-Transport-Security"));
  CHECK(has(server.exchange(request("GET /echo", "X-Request-Id: mine-1\r\n")),
            "X-Request-Id: mine-1\r\n"));
  CHECK_FALSE(has(server.exchange(request("GET /echo", "X-Request-Id: a b\r\n")), "a b"));
}

TEST_CASE("an unknown path is 404 and a wrong method 405 with Allow, as problem details") {
  const TestServer server;
  const std::string missing = server.exchange(request("GET /nothing"));
  CHECK(missing.starts_with("HTTP/1.1 404 Not Found\r\n"));
  CHECK(has(missing, "Content-Type: application/problem+json\r\n"));
  CHECK(has(missing, R"("code":"not_found")"));
  CHECK(has(missing, R"("instance":"/nothing")"));
  CHECK(has(missing, R"("requestId":")"));
  const std::string wrong = server.exchange(request("DELETE /echo"));
  CHECK(wrong.starts_with("HTTP/1.1 405 "));
  CHECK(has(wrong, "Allow: GET, HEAD, OPTIONS, POST\r\n"));
}

TEST_CASE("HEAD is GET without the body, OPTIONS lists the methods") {
  const TestServer server;
  const std::string head = server.exchange(request("HEAD /echo"));
  CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(has(head, "Content-Length: 13\r\n"));
  CHECK(head.ends_with("\r\n\r\n"));
  const std::string options = server.exchange(request("OPTIONS /things/1"));
  CHECK(options.starts_with("HTTP/1.1 204 "));
  CHECK(has(options, "Allow: GET, HEAD, OPTIONS\r\n"));
  CHECK(server.exchange(request("OPTIONS *")).starts_with("HTTP/1.1 204 "));
}

TEST_CASE("a body above the route's cap is 413, declared or chunked, and is not waited for") {
  const TestServer server;
  CHECK(server.exchange(request("POST /echo", {}, std::string(1024, 'x')))
            .starts_with("HTTP/1.1 200 "));
  CHECK(server.exchange(request("POST /echo", "Content-Length: 1025\r\n"))
            .starts_with("HTTP/1.1 413 "));
  CHECK(server.exchange(request("POST /echo", "Content-Length: 99999999999\r\n"))
            .starts_with("HTTP/1.1 413 "));
  const std::string chunk = "400\r\n" + std::string(1024, 'x') + "\r\n";
  CHECK(server.exchange(request("POST /echo", "Transfer-Encoding: chunked\r\n") + chunk + chunk)
            .starts_with("HTTP/1.1 413 "));
  CHECK(
      server.exchange(request("POST /echo", "Transfer-Encoding: chunked\r\n") + chunk + "0\r\n\r\n")
          .starts_with("HTTP/1.1 200 "));
  CHECK(server.exchange(request("GET /things/1", {}, "x")).starts_with("HTTP/1.1 413 "));
}

TEST_CASE("headers above the cap are 431, a long target 414") {
  ServerOptions options;
  options.header_bytes_max = 12 * 1024;
  const TestServer server{options};
  CHECK(server.exchange(request("GET /echo", "A: " + std::string(13 * 1024, 'a') + "\r\n"))
            .starts_with("HTTP/1.1 431 "));
  CHECK(server.exchange(request("GET /echo?" + std::string(9 * 1024, 'a')))
            .starts_with("HTTP/1.1 414 "));
}

TEST_CASE("an endless header is cut at the cap without its end") {
  ServerOptions options;
  options.header_bytes_max = 4096;
  const TestServer server{options};
  CHECK(server.exchange("GET /echo HTTP/1.1\r\nA: " + std::string(64 * 1024, 'a'))
            .starts_with("HTTP/1.1 431 "));
}

TEST_CASE("the framing of a chunked body that never ends is refused and not kept") {
  ServerOptions options;
  options.header_bytes_max = 4096;
  options.body_timeout = std::chrono::seconds{5};
  const TestServer server{options};
  const std::string chunked = request("POST /echo", "Transfer-Encoding: chunked\r\n");
  const std::string endless(64 * 1024, 'a');
  CHECK(server.exchange(chunked + "5;x=" + endless).starts_with("HTTP/1.1 400 "));
  CHECK(server.exchange(chunked + "5\r\nhello\r\n0\r\nA: " + endless).starts_with("HTTP/1.1 400 "));
  // A route that takes no body at all is no other way in.
  CHECK(
      server.exchange(request("GET /things/1", "Transfer-Encoding: chunked\r\n") + "0;x=" + endless)
          .starts_with("HTTP/1.1 400 "));
  const std::string bearable(1024, 'a');
  CHECK(has(server.exchange(chunked + "5;x=" + bearable + "\r\nhello\r\n0\r\nA: " + bearable +
                            "\r\n\r\n"),
            "[hello]"));
}

TEST_CASE("a client that dribbles its header is cut at the deadline") {
  ServerOptions options;
  options.header_timeout = std::chrono::seconds{1};
  const TestServer server{options};
  CHECK(server.exchange("GET /echo HTTP/1.1\r\nHost: ").empty());
  CHECK(server.exchange("").empty());
}

TEST_CASE("a client that dribbles its body is cut at the deadline") {
  ServerOptions options;
  options.body_timeout = std::chrono::seconds{1};
  const TestServer server{options};
  CHECK(server.exchange(request("POST /echo", "Content-Length: 10\r\n") + "abc").empty());
}

TEST_CASE("an idle connection is closed") {
  ServerOptions options;
  options.idle_timeout = std::chrono::seconds{1};
  const TestServer server{options};
  const std::string answer = server.exchange("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 200 "));
  CHECK_FALSE(has(answer, "Connection: close"));
}

TEST_CASE("pipelined requests are answered in their order") {
  const TestServer server;
  std::string requests;
  for (int index = 0; index < 50; ++index) {
    requests +=
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n" + std::to_string(10 + index);
  }
  requests += request("GET /echo");
  const std::string answer = server.exchange(requests);
  CHECK(count(answer, "HTTP/1.1 200 OK") == 51);
  std::size_t at = 0;
  for (int index = 0; index < 50; ++index) {
    const std::size_t found = answer.find("[" + std::to_string(10 + index) + "]", at);
    REQUIRE(found != std::string::npos);
    at = found;
  }
}

TEST_CASE("after a refused body the connection ends, so that it is not read as a request") {
  const TestServer server;
  const std::string body = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string answer = server.exchange(
      "GET /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
      "\r\n\r\n" + body);
  CHECK(answer.starts_with("HTTP/1.1 404 "));
  CHECK(count(answer, "HTTP/1.1 ") == 1);
}

TEST_CASE("requests that could be read in two ways are refused") {
  const TestServer server;
  for (const std::string headers :
       {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: -1\r\n",
        "Transfer-Encoding: gzip\r\n", "Transfer-Encoding: chunked, gzip\r\n", "Host: second\r\n",
        "Content-Length : 5\r\n"}) {
    CAPTURE(headers);
    const std::string answer = server.exchange(request("POST /echo", headers) + "0\r\n\r\n");
    CHECK((answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 501 ")));
    CHECK(count(answer, "HTTP/1.1 ") == 1);
  }
  CHECK(server.exchange("GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n")
            .starts_with("HTTP/1.1 400 "));
}

TEST_CASE("garbage gets 400 and a close") {
  const TestServer server;
  for (const std::string& bytes :
       {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), std::string(100, '\0'),
        std::string("\r\nHELLO\r\n\r\n"), std::string("\x10\x0c\0\4MQTT\5\r\n", 11)}) {
    const std::string answer = server.exchange(bytes + std::string(300, '\n'));
    CHECK(answer.starts_with("HTTP/1.1 4"));
  }
  CHECK(server.exchange("GET / HTTP/9.9\r\n\r\n").starts_with("HTTP/1.1 505 "));
  for (const std::string target : {"/%zz", "/a//b", "/../etc", "/echo/", "/%00", "http://x/echo"}) {
    CAPTURE(target);
    CHECK(server.exchange(request("GET " + target)).starts_with("HTTP/1.1 400 "));
  }
}

TEST_CASE("an exception in a handler is 500 without the reason, which the log has") {
  std::string logged;
  ServerOptions options;
  options.log = [&](std::string_view line) { logged += line; };
  std::string answer;
  {
    const TestServer server{options};
    answer = server.exchange(request("GET /fail"));
  }
  CHECK(answer.starts_with("HTTP/1.1 500 "));
  CHECK(has(answer, R"("code":"internal_error")"));
  CHECK_FALSE(has(answer, "secret"));
  CHECK(has(logged, "the secret reason"));
}

TEST_CASE("a guarded route wants a token that the guard knows") {
  ServerOptions options;
  options.guard = [](std::string_view token) {
    return token == "good" ? Principal{"user:admin", {"*"}} : Principal{};
  };
  const TestServer server{options};
  const std::string missing = server.exchange(request("GET /guarded"));
  CHECK(missing.starts_with("HTTP/1.1 401 "));
  CHECK(has(missing, "WWW-Authenticate: Bearer realm=\"skerry\"\r\n"));
  CHECK(has(missing, R"("code":"token_missing")"));
  CHECK(has(server.exchange(request("GET /guarded", "Authorization: Bearer bad\r\n")),
            R"("code":"token_invalid")"));
  CHECK(has(server.exchange(request("GET /guarded", "Authorization: Basic good\r\n")),
            R"("code":"token_missing")"));
  CHECK(has(server.exchange(request("GET /guarded", "authorization: bearer good\r\n")),
            "by user:admin"));
}

TEST_CASE("a client that waits for 100 Continue gets it, or the refusal at once") {
  const TestServer server;
  const std::string answer = server.exchange(
      request("POST /echo", "Expect: 100-continue\r\nContent-Length: 2\r\n") + "ok");
  CHECK(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
  CHECK(server.exchange(request("POST /echo", "Expect: 100-continue\r\nContent-Length: 5000\r\n"))
            .starts_with("HTTP/1.1 413 "));
  CHECK(server.exchange(request("GET /echo", "Expect: magic\r\n")).starts_with("HTTP/1.1 417 "));
}

TEST_CASE("HTTP/1.0 closes unless asked to stay") {
  const TestServer server;
  CHECK(has(server.exchange("GET /echo HTTP/1.0\r\n\r\n"), "Connection: close\r\n"));
  const std::string kept = server.exchange(
      "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /echo HTTP/1.0\r\n\r\n");
  CHECK(count(kept, "HTTP/1.1 200 OK") == 2);
}

TEST_CASE("connections above the cap are closed and those with a token keep theirs") {
  using boost::asio::ip::tcp;
  ServerOptions options;
  options.connections_max = 1;
  options.guard = [](std::string_view) { return Principal{"user:a", {"*"}}; };
  const TestServer server{options};
  boost::asio::io_context io;
  tcp::socket first{io};
  first.connect({boost::asio::ip::address_v4::loopback(), server.port()});
  const std::string get = "GET /guarded HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer t\r\n\r\n";
  boost::asio::write(first, boost::asio::buffer(get));
  char byte = 0;
  boost::asio::read(first, boost::asio::buffer(&byte, 1));
  CHECK(byte == 'H');
  CHECK(server.exchange(request("GET /echo")).empty());
}

TEST_CASE("connections that say nothing give their places to newcomers, the oldest first") {
  using boost::asio::ip::tcp;
  ServerOptions options;
  options.connections_max = 2;
  const TestServer server{options};
  boost::asio::io_context io;
  std::vector<tcp::socket> silent;
  for (std::size_t index = 0; index < options.connections_max; ++index) {
    silent.emplace_back(io).connect({boost::asio::ip::address_v4::loopback(), server.port()});
  }
  CHECK(has(server.exchange(request("GET /echo")), "200 OK"));
  char byte = 0;
  boost::system::error_code error;
  boost::asio::read(silent.front(), boost::asio::buffer(&byte, 1), error);
  CHECK(error);
  const std::string get = request("GET /echo");
  boost::asio::write(silent.back(), boost::asio::buffer(get));
  boost::asio::read(silent.back(), boost::asio::buffer(&byte, 1));
  CHECK(byte == 'H');
}

TEST_CASE("a port in use and a bad address are one clear sentence") {
  const TestServer server;
  boost::asio::io_context io;
  ServerOptions options;
  options.name = "admin";
  options.bind = "127.0.0.1:" + std::to_string(server.port());
  const std::string expected =
      "admin: cannot listen on " + options.bind + ": another program uses this port";
  CHECK_THROWS_WITH(Server(io, options, {}), expected.c_str());
  for (const std::string bind :
       {"8443", "127.0.0.1", "127.0.0.1:x", "host.example:1", "::1:80", "127.0.0.1:70000"}) {
    options.bind = bind;
    CAPTURE(bind);
    CHECK_THROWS_AS(Server(io, options, {}), std::runtime_error);
  }
}
