// One HTTPS request over a socket that does not block: what can be sent is sent, what has come is
// parsed, and poll() waits for either. So an upload and its results may flow at the same time.
#include "cli/https_client.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>

#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <vector>

#include "cli/failure.hpp"
#include "cli/tls_socket.hpp"

namespace skerry::cli {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t body_bytes_max = 256 * 1024 * 1024;
constexpr std::size_t read_bytes = 64 * 1024;
/// Below this, more of a streamed body is asked for.
constexpr std::size_t pending_bytes_min = 64 * 1024;

std::string head_of(const ServerAddress& server, const HttpsRequest& request) {
  const std::string host =
      server.host.find(':') == std::string::npos ? server.host : "[" + server.host + "]";
  std::string text = request.method + " " + request.target + " HTTP/1.1\r\nHost: " + host + ":" +
                     server.port + "\r\nConnection: close\r\nUser-Agent: skerryctl\r\n";
  for (const auto& [name, value] : request.headers) {
    if (value.find_first_of("\r\n") != std::string::npos) {
      throw Failure("a header value must not hold a line break", exit_usage);
    }
    text += name + ": " + value + "\r\n";
  }
  if (request.source) {
    text += "Transfer-Encoding: chunked\r\n";
  } else if (!request.body.empty() || request.method == "POST") {
    text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  return text + "\r\n" + (request.source ? std::string{} : request.body);
}

class Exchange {
 public:
  Exchange(SSL* ssl, int descriptor, const ServerAddress& server, const HttpsRequest& request)
      : ssl_(ssl),
        descriptor_(descriptor),
        server_(server),
        request_(request),
        pending_(head_of(server, request)),
        sends_more_(static_cast<bool>(request.source)) {
    if (request.sink) {
      parser_.body_limit(boost::none);
    } else {
      parser_.body_limit(body_bytes_max);
    }
    parser_.eager(true);
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  }

  HttpsResponse run();

 private:
  enum class Step : std::uint8_t { nothing, progress };

  Step send();
  Step receive();
  void parse();
  void wait();
  void take_chunk();
  [[noreturn]] void break_off(const std::string& why) const {
    throw Failure(server_.url() + " " + why, exit_unreachable);
  }

  SSL* ssl_;
  int descriptor_;
  const ServerAddress& server_;
  const HttpsRequest& request_;
  std::string pending_;   ///< to be sent
  std::size_t sent_ = 0;  ///< of it
  bool sends_more_;       ///< the source has not ended
  std::vector<char> buffer_ = std::vector<char>(read_bytes);
  std::string received_;  ///< not parsed yet
  std::string answer_;    ///< a body that no sink takes
  http::response_parser<http::string_body> parser_;
  bool enough_ = false;
  short wanted_ = POLLIN;
};

/// Puts the next part of a streamed body behind what is to be sent.
void Exchange::take_chunk() {
  const std::optional<std::string> part = request_.source();
  if (!part) {
    pending_ += "0\r\n\r\n";
    sends_more_ = false;
  } else if (!part->empty()) {
    std::array<char, 20> size{};
    std::snprintf(size.data(), size.size(), "%zx\r\n", part->size());
    pending_.append(size.data()).append(*part).append("\r\n");
  }
}

Exchange::Step Exchange::send() {
  const bool refused = parser_.is_header_done() && parser_.get().result_int() >= 400;
  while (sends_more_ && !refused && pending_.size() - sent_ < pending_bytes_min) {
    take_chunk();
  }
  if (sent_ == pending_.size() || refused) {
    return Step::nothing;
  }
  ERR_clear_error();
  const int count =
      SSL_write(ssl_, pending_.data() + sent_, static_cast<int>(pending_.size() - sent_));
  if (count > 0) {
    sent_ += static_cast<std::size_t>(count);
    if (sent_ == pending_.size() || sent_ > pending_bytes_min) {
      pending_.erase(0, sent_);
      sent_ = 0;
    }
    return Step::progress;
  }
  const int error = SSL_get_error(ssl_, count);
  if (error == SSL_ERROR_WANT_WRITE) {
    wanted_ |= POLLOUT;
  } else if (error != SSL_ERROR_WANT_READ) {
    // The server may have said why before it closed: that is read next.
    sends_more_ = false;
    pending_.clear();
    sent_ = 0;
  }
  return Step::nothing;
}

void Exchange::parse() {
  while (!received_.empty() && !parser_.is_done()) {
    boost::beast::error_code error;
    const std::size_t used = parser_.put(boost::asio::buffer(received_), error);
    received_.erase(0, used);
    if (error == http::error::need_more) {
      break;
    }
    if (error) {
      break_off("answered what is no HTTP: " + error.message());
    }
  }
  if (!parser_.is_header_done() || parser_.get().body().empty()) {
    return;
  }
  std::string body;
  body.swap(parser_.get().body());
  const unsigned status = parser_.get().result_int();
  if (request_.sink && status >= 200 && status < 300) {
    enough_ = !request_.sink(body);
  } else {
    answer_ += body;
  }
}

Exchange::Step Exchange::receive() {
  ERR_clear_error();
  const int count = SSL_read(ssl_, buffer_.data(), static_cast<int>(buffer_.size()));
  if (count > 0) {
    received_.append(buffer_.data(), static_cast<std::size_t>(count));
    parse();
    return Step::progress;
  }
  const int reason = SSL_get_error(ssl_, count);
  if (reason == SSL_ERROR_WANT_READ) {
    return Step::nothing;
  }
  if (reason == SSL_ERROR_WANT_WRITE) {
    wanted_ |= POLLOUT;
    return Step::nothing;
  }
  boost::beast::error_code error;
  if (parser_.got_some()) {
    parser_.put_eof(error);
    parse();
  }
  if (!parser_.is_done() || error) {
    break_off(parser_.is_header_done() ? "broke off in the middle of its answer"
                                       : "closed the connection without an answer");
  }
  return Step::progress;
}

void Exchange::wait() {
  pollfd waited{descriptor_, wanted_, 0};
  const auto limit = std::chrono::milliseconds{request_.patience};
  const int ready = poll(&waited, 1, static_cast<int>(limit.count()));
  if (ready == 0) {
    break_off("did not answer in time");
  }
  if (ready < 0 && errno != EINTR) {
    break_off("cannot be waited for");
  }
}

HttpsResponse Exchange::run() {
  while (!parser_.is_done() && !enough_) {
    wanted_ = POLLIN;
    const Step sent = send();
    const Step received = receive();
    if (sent == Step::nothing && received == Step::nothing) {
      wait();
    }
  }
  HttpsResponse response;
  response.status = static_cast<int>(parser_.get().result_int());
  for (const auto& field : parser_.get()) {
    std::string name{field.name_string()};
    for (char& c : name) {
      c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    response.headers.emplace(std::move(name), std::string{field.value()});
  }
  response.body = std::move(answer_);
  return response;
}

}  // namespace

HttpsResponse send_https(const ServerAddress& server, const std::string& ca_pem,
                         const HttpsRequest& request, const ClientIdentity& identity) {
  const Context context = make_context(ca_pem, identity);
  const Socket socket = connect_to(server);
  const Ssl ssl = handshake(context.get(), socket.descriptor, server);
  HttpsResponse response = Exchange{ssl.get(), socket.descriptor, server, request}.run();
  SSL_shutdown(ssl.get());
  return response;
}

}  // namespace skerry::cli
