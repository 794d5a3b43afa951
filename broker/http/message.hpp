// Request and Response as handlers see them: whole bodies under a cap or streams, no wire details.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace skerry::http {

/// Where a streamed answer goes. Belongs to the run of `Response::stream`.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  /// Resumes when the peer's side has taken the bytes (back-pressure), which must outlive that. The
  /// head leaves with the first call; an empty chunk sends the head alone. False: the peer has gone
  /// or takes less than 16 KiB within the server's body timeout, and no later call will do better.
  virtual boost::asio::awaitable<bool> write(std::string_view chunk) = 0;
};

/// Why a streamed body ended before its end.
class BodyError : public std::runtime_error {
 public:
  enum class Reason : std::uint8_t {
    too_large,  ///< more than `Endpoint::body_bytes_max`, noticed on the way (chunked)
    malformed,  ///< the chunks' framing is broken
    gone,       ///< the peer left, or sent too slowly and was cut off: nobody will read an answer
  };
  BodyError(Reason reason, const std::string& what) : std::runtime_error(what), reason_(reason) {}
  Reason reason() const noexcept { return reason_; }

 private:
  Reason reason_;
};

/// The body of a request whose endpoint has `streams_body`. Lives as long as the request.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  /// The next bytes, between 1 and 64 KiB; nullopt at the end, and again if asked again. Throws
  /// BodyError when the body is cut off. A client that waits for "100 Continue" gets it at the
  /// first call, so a handler may refuse by the head alone before anything is uploaded.
  virtual boost::asio::awaitable<std::optional<std::string>> read() = 0;
};

struct Request {
  std::string method;                                          ///< upper case
  std::string path;                                            ///< decoded, without the query
  std::map<std::string, std::string, std::less<>> parameters;  ///< from `{name}` in the route
  std::map<std::string, std::string, std::less<>> query;       ///< decoded; the last one wins
  std::map<std::string, std::string, std::less<>> headers;     ///< names in lower case
  std::string body;                   ///< whole, unless the endpoint has `streams_body`
  BodyReader* body_stream = nullptr;  ///< only with `Endpoint::streams_body`
  std::string peer_address;
  std::string request_id;
  /// DER of the certificate the client has proven to hold the key of, empty without one. Nothing is
  /// said about who issued it: on the enrolment port self-signed ones are accepted.
  std::string client_certificate;
  /// Who the guard found by the token, and what that is good for; empty without one. On routes
  /// without a guard a good token is looked at as well, a bad one ignored.
  std::string principal;
  std::vector<std::string> scopes;
  std::string token_id;  ///< which token that was, where the guard says so
  /// False once the token was deleted or has expired: ask it in answers that go on for long. Null
  /// without a token.
  std::function<bool()> token_is_live;

  /// Header by lower-case name; empty when absent.
  std::string_view header(std::string_view name) const {
    const auto it = headers.find(name);
    return it == headers.end() ? std::string_view{} : std::string_view{it->second};
  }
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  /// When set, it makes the body, chunk by chunk, and `body` is ignored; it may read the request's
  /// `body_stream` meanwhile. The request and its own captures live until it has ended. It does not
  /// run for HEAD. What it throws before the first write becomes an answer as from a handler; later
  /// the connection is cut without the last chunk, so that nobody takes a part for the whole.
  std::function<boost::asio::awaitable<void>(BodyWriter&)> stream;
};

/// 200 (or `status`) with a JSON body.
Response json_response(const boost::json::value& value, int status = 200);

/// 204, done and nothing to say.
Response no_content();

/// RFC 9457 problem details. `code` is stable and in snake_case ("not_in_registry"), `detail` a
/// sentence for a human; `pointer`, when given, is the JSON pointer of the field at fault.
Response problem(int status, std::string_view code, std::string_view detail,
                 std::string_view pointer = {});

}  // namespace skerry::http
