// One HTTP/1.1 connection. Beast parses; what is asked, by whom and how large is judged here.
#include "http/connection.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <random>

#include "http/body_stream.hpp"
#include "http/guard.hpp"
#include "http/response_head.hpp"

namespace skerry::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using Parser = beast::http::request_parser<beast::http::string_body>;
using std::chrono::seconds;

constexpr std::size_t read_bytes = 16 * 1024;
constexpr seconds finish_timeout{2};
/// A reader slower than this many bytes a second is cut off.
constexpr std::size_t write_rate_min_bytes = 64 * 1024;

std::string lower_case(std::string_view text) {
  std::string lower{text};
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

std::string_view view(beast::string_view text) noexcept {
  return {text.data(), text.size()};
}

/// The answer to bytes that are no acceptable request.
Response parse_problem(const beast::error_code& error) {
  if (error == beast::http::error::header_limit || error == beast::http::error::buffer_overflow) {
    return problem(431, "headers_too_large", "the request's headers are too large");
  }
  if (error == beast::http::error::body_limit) {
    return problem(413, "body_too_large", "the request's body is too large for this resource");
  }
  if (error == beast::http::error::bad_version) {
    return problem(505, "version_not_supported", "only HTTP/1.1 and HTTP/1.0 are spoken here");
  }
  return problem(400, "malformed_request", "the request is malformed: " + error.message());
}

/// A request id that a client brings is kept when it is harmless in logs.
bool is_harmless_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
}

std::string join(const std::vector<std::string>& methods) {
  std::string text;
  for (const std::string& method : methods) {
    text += (text.empty() ? "" : ", ") + method;
  }
  return text;
}

class Connection {
 public:
  Connection(Service& service, ByteStream& stream) : service_(service), stream_(stream) {}

  asio::awaitable<void> run();

 private:
  enum class Input : std::uint8_t { complete, gone, refused };
  using Done = bool (Parser::*)() const;

  asio::awaitable<bool> exchange();
  asio::awaitable<bool> read_more();
  asio::awaitable<Input> feed(Parser& parser, Done done);
  asio::awaitable<Input> parse_head(Parser& parser);
  asio::awaitable<Input> parse_body(Parser& parser);
  asio::awaitable<bool> answer(Response response, bool keep_alive);
  asio::awaitable<bool> answer_stream(Response response, bool keep_alive);
  asio::awaitable<bool> exchange_streamed(Parser& parser, const Endpoint& endpoint);
  HeadContext head_context(bool keep_alive) const;

  std::optional<Response> examine_head(const Parser& parser);
  std::optional<Response> judge(const Router::Match& match);
  std::optional<Response> check_body(const Parser& parser, const Endpoint& endpoint);
  asio::awaitable<Response> call(const Endpoint& endpoint);
  Response exception_problem(const std::exception& exception);
  void add_context(Response& response) const;

  Service& service_;
  ByteStream& stream_;
  beast::flat_buffer buffer_;
  Request request_;
  Target target_;
  Response refusal_;
  bool http_1_0_ = false;
  bool first_ = true;
};

// g++ 12 miscompiles a co_await inside a condition: here each stands in a statement of its own.
asio::awaitable<bool> Connection::read_more() {
  const auto room = buffer_.prepare(read_bytes);
  const std::span<char> into{static_cast<char*>(room.data()), room.size()};
  const std::size_t count = co_await stream_.read_some(into);
  buffer_.commit(count);
  co_return count > 0;
}

/// Hands what is buffered to the parser, reading as long as it wants more, until `done` holds.
asio::awaitable<Connection::Input> Connection::feed(Parser& parser, Done done) {
  while (!(parser.*done)()) {
    beast::error_code error = beast::http::error::need_more;
    if (buffer_.size() > 0) {
      buffer_.consume(parser.put(buffer_.cdata(), error));
    }
    // What the parser leaves is a part of a line; Beast has a cap for those of the head alone.
    if (error == beast::http::error::need_more &&
        buffer_.size() > service_.options.header_bytes_max) {
      refusal_ = problem(400, "malformed_request", framing_too_long);
      co_return Input::refused;
    }
    if (error == beast::http::error::need_more) {
      const bool alive = co_await read_more();
      if (!alive) {
        co_return Input::gone;
      }
    } else if (error) {
      refusal_ = parse_problem(error);
      co_return Input::refused;
    }
  }
  co_return Input::complete;
}

asio::awaitable<Connection::Input> Connection::parse_head(Parser& parser) {
  if (buffer_.size() == 0 && !first_) {
    stream_.set_deadline(service_.options.idle_timeout);
    const bool alive = co_await read_more();
    if (!alive) {
      co_return Input::gone;
    }
  }
  // One deadline for the whole head: a byte now and then does not prolong it.
  stream_.set_deadline(service_.options.header_timeout);
  co_return co_await feed(parser, &Parser::is_header_done);
}

asio::awaitable<Connection::Input> Connection::parse_body(Parser& parser) {
  stream_.set_deadline(service_.options.body_timeout);
  parser.eager(true);
  co_return co_await feed(parser, &Parser::is_done);
}

/// Fills request_ and target_ from the head; a value is the answer to a head that is not
/// acceptable.
std::optional<Response> Connection::examine_head(const Parser& parser) {
  const auto& message = parser.get();
  request_.method = view(message.method_string());
  for (const auto& field : message) {
    const auto [it, added] =
        request_.headers.try_emplace(lower_case(view(field.name_string())), view(field.value()));
    if (!added) {
      it->second.append(", ").append(view(field.value()));
    }
  }
  if (const std::string_view id = request_.header("x-request-id"); is_harmless_id(id)) {
    request_.request_id = id;
  }
  if (message.count(beast::http::field::host) != 1 && !http_1_0_) {
    return problem(400, "malformed_request", "exactly one Host header is needed");  // RFC 9112 3.2
  }
  const std::string_view coding = request_.header("transfer-encoding");
  if (!coding.empty() && lower_case(coding) != "chunked") {
    return problem(501, "transfer_encoding_not_supported",
                   "the only transfer coding spoken here is chunked");
  }
  const std::string_view raw = view(message.target());
  if (request_.method == "OPTIONS" && raw == "*") {
    Response options;
    options.status = 204;
    options.headers.emplace_back("Allow", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    return options;
  }
  if (raw.size() > target_bytes_max) {
    return problem(414, "target_too_long", "the request target is too long");
  }
  Result<Target, TargetError> target = parse_target(raw);
  if (!target) {
    return problem(400, "malformed_target", target.error().what);
  }
  target_ = std::move(*target);
  request_.path = target_.path;
  request_.query = target_.query;
  return std::nullopt;
}

std::optional<Response> Connection::judge(const Router::Match& match) {
  if (match.allowed.empty()) {
    return problem(404, "not_found", "there is nothing at this path");
  }
  if (match.endpoint == nullptr) {
    Response response;
    if (request_.method == "OPTIONS") {
      response.status = 204;
    } else {
      response = problem(405, "method_not_allowed", "this path knows only " + join(match.allowed));
    }
    response.headers.emplace_back("Allow", join(match.allowed));
    return response;
  }
  auto refused = check_guard(service_.options, *match.endpoint, request_);
  if (!refused && match.endpoint->guard == Guard::token) {
    stream_.set_trusted();
  }
  return refused;
}

/// The answer to what foreign code has thrown. Our own faults are logged and not shown.
Response Connection::exception_problem(const std::exception& exception) {
  if (const auto* body = dynamic_cast<const BodyError*>(&exception)) {
    switch (body->reason()) {
      case BodyError::Reason::too_large:
        return parse_problem(beast::http::error::body_limit);
      case BodyError::Reason::malformed:
      case BodyError::Reason::gone:
        return problem(400, "malformed_request", body->what());
    }
  }
  service_.options.log(service_.options.name + ": " + request_.method + " " + request_.path +
                       " failed, request " + request_.request_id + ": " + exception.what());
  return problem(500, "internal_error",
                 "the server failed at this request; its log has the reason under the request's "
                 "id");
}

asio::awaitable<Response> Connection::call(const Endpoint& endpoint) {
  // The handler is foreign code at this edge: what it throws must not end the server, nor be shown.
  try {
    co_return co_await endpoint.handler(request_);
  } catch (const std::exception& exception) {
    co_return exception_problem(exception);
  }
}

/// Problems name the resource and the request, which handlers do not know.
void Connection::add_context(Response& response) const {
  if (response.content_type != "application/problem+json") {
    return;
  }
  boost::json::error_code error;
  boost::json::value body = boost::json::parse(response.body, error);
  if (error || !body.is_object()) {
    return;
  }
  if (!request_.path.empty()) {
    body.get_object()["instance"] = request_.path;
  }
  body.get_object()["requestId"] = request_.request_id;
  response.body = boost::json::serialize(body);
}

HeadContext Connection::head_context(bool keep_alive) const {
  HeadContext context;
  context.tls = stream_.is_tls();
  context.keep_alive = keep_alive;
  context.http_1_0 = http_1_0_;
  context.request_id = request_.request_id;
  return context;
}

/// Writes; true when the connection may go on.
asio::awaitable<bool> Connection::answer(Response response, bool keep_alive) {
  if (forbids_body(response.status)) {
    response.body.clear();
    response.stream = nullptr;
  }
  if (response.stream) {
    co_return co_await answer_stream(std::move(response), keep_alive);
  }
  add_context(response);
  const std::string head = format_head(response, head_context(keep_alive));
  stream_.set_deadline(service_.options.body_timeout +
                       seconds(response.body.size() / write_rate_min_bytes));
  const bool sends_body = request_.method != "HEAD";
  const auto error = co_await stream_.write(
      head, sends_body ? std::string_view{response.body} : std::string_view{});
  if (!error && !keep_alive) {
    stream_.set_deadline(finish_timeout);
    co_await stream_.finish();
  }
  co_return !error && keep_alive;
}

/// Runs the response's stream; true when the connection may go on.
asio::awaitable<bool> Connection::answer_stream(Response response, bool keep_alive) {
  HeadContext context = head_context(keep_alive && !http_1_0_);
  context.framing = http_1_0_ ? Framing::until_close : Framing::chunked;
  StreamWriter writer{stream_, format_head(response, context), context.framing,
                      service_.options.body_timeout};
  if (request_.method == "HEAD") {
    const bool sent = co_await writer.write({});
    co_return sent&& context.keep_alive;
  }
  std::optional<Response> failure;
  try {
    co_await response.stream(writer);
  } catch (const std::exception& exception) {
    failure = exception_problem(exception);
  }
  if (writer.failed()) {
    co_return false;
  }
  if (failure && !writer.started()) {
    co_return co_await answer(std::move(*failure), keep_alive);
  }
  if (failure) {
    // Without the last chunk, or with a reset where there are none: a part is not the whole.
    if (http_1_0_) {
      stream_.abort();
    }
    co_return false;
  }
  const bool sent = co_await writer.finish();
  if (sent && !context.keep_alive) {
    stream_.set_deadline(finish_timeout);
    co_await stream_.finish();
  }
  co_return sent&& context.keep_alive;
}

/// Judges what the head says of the body; a value is the refusal.
std::optional<Response> Connection::check_body(const Parser& parser, const Endpoint& endpoint) {
  const auto length = parser.content_length();
  if (length && *length > endpoint.body_bytes_max) {
    return parse_problem(beast::http::error::body_limit);
  }
  const std::string_view expect = request_.header("expect");
  if (!expect.empty() && lower_case(expect) != "100-continue") {
    return problem(417, "expectation_failed", "only 100-continue is known");
  }
  return std::nullopt;
}

/// The handler, or the stream of its answer, reads the body itself.
asio::awaitable<bool> Connection::exchange_streamed(Parser& parser, const Endpoint& endpoint) {
  const bool keep_alive = parser.keep_alive();
  StreamReader reader{stream_, buffer_, std::move(parser), service_.options.body_timeout,
                      service_.options.header_bytes_max};
  reader.set_continue(!request_.header("expect").empty());
  request_.body_stream = &reader;
  // Whoever has shown no token must not hold a place by dribbling a body.
  stream_.set_busy(endpoint.guard != Guard::none);
  Response response = co_await call(endpoint);
  bool stays = false;
  if (!reader.is_gone()) {
    // A problem may come while the client is still sending: it must hear that this is the end.
    const bool may_stay = keep_alive && (reader.is_done() || response.stream);
    stays = co_await answer(std::move(response), may_stay);
  }
  if (stays && !reader.is_done()) {
    stream_.set_deadline(finish_timeout);
    co_await stream_.finish();
    stays = false;
  }
  request_.body_stream = nullptr;
  stream_.set_busy(false);
  co_return stays;
}

asio::awaitable<bool> Connection::exchange() {
  Parser parser;
  parser.header_limit(static_cast<std::uint32_t>(service_.options.header_bytes_max));
  parser.body_limit(boost::none);  // known only when the route is
  parser.eager(false);
  request_ = Request{};
  request_.request_id = service_.next_request_id();
  request_.peer_address = stream_.peer_address();
  http_1_0_ = false;

  Input input = co_await parse_head(parser);
  first_ = false;
  if (input == Input::gone) {
    co_return false;
  }
  if (input == Input::refused) {
    co_return co_await answer(std::move(refusal_), false);
  }
  http_1_0_ = parser.get().version() < 11;
  // After an answer without reading the body, nobody knows where the next request begins.
  const bool may_stay = parser.keep_alive() && parser.is_done();
  if (auto refused = examine_head(parser)) {
    co_return co_await answer(std::move(*refused), may_stay);
  }
  const Router::Match match = service_.router.match(request_.method, target_);
  if (auto refused = judge(match)) {
    co_return co_await answer(std::move(*refused), may_stay);
  }
  if (auto refused = check_body(parser, *match.endpoint)) {
    co_return co_await answer(std::move(*refused), may_stay);
  }
  parser.body_limit(match.endpoint->body_bytes_max);
  request_.parameters = match.parameters;
  request_.client_certificate = stream_.client_certificate();
  if (match.endpoint->streams_body) {
    co_return co_await exchange_streamed(parser, *match.endpoint);
  }
  if (!request_.header("expect").empty() && !parser.is_done()) {
    // When this fails, so does the reading that follows.
    co_await stream_.write("HTTP/1.1 100 Continue\r\n\r\n", {});
  }
  input = co_await parse_body(parser);
  if (input == Input::gone) {
    co_return false;
  }
  if (input == Input::refused) {
    co_return co_await answer(std::move(refusal_), false);
  }
  stream_.clear_deadline();
  stream_.set_busy(true);
  request_.body = std::move(parser.get().body());
  Response response = co_await call(*match.endpoint);
  const bool stays = co_await answer(std::move(response), parser.keep_alive());
  stream_.set_busy(false);
  co_return stays;
}

asio::awaitable<void> Connection::run() {
  stream_.set_deadline(service_.options.header_timeout);
  const beast::error_code error = co_await stream_.handshake();
  bool alive = !error;
  while (alive) {
    alive = co_await exchange();
  }
}

}  // namespace

Service::Service(ServerOptions server_options, EndpointTable table)
    : options(std::move(server_options)),
      endpoints(with_scopes(std::move(table))),
      router(endpoints) {
  std::random_device device;
  constexpr std::string_view digits = "0123456789abcdef";
  for (int index = 0; index < 8; ++index) {
    id_prefix_ += digits[device() % digits.size()];
  }
}

std::string Service::next_request_id() {
  return id_prefix_ + "-" + std::to_string(++requests_);
}

asio::awaitable<void> serve_connection(std::shared_ptr<Service> service,
                                       std::shared_ptr<ByteStream> stream) {
  Connection connection{*service, *stream};
  co_await connection.run();
  stream->close();
}

}  // namespace skerry::http
