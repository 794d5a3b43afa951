// Bodies that are not held whole.
#include "http/body_stream.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace skerry::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t read_bytes = 16 * 1024;
constexpr std::size_t part_bytes_max = 64 * 1024;
/// A client that sends less than this, on average and after its grace, is cut off.
constexpr std::size_t read_rate_min_bytes = 1024;
/// What must leave within one timeout; also about one TLS record.
constexpr std::size_t piece_bytes = 16 * 1024;

}  // namespace

StreamReader::StreamReader(ByteStream& stream, beast::flat_buffer& buffer, Head&& head,
                           milliseconds grace, std::size_t framing_bytes_max)
    : stream_(stream),
      buffer_(buffer),
      parser_(std::move(head)),
      grace_(grace),
      framing_bytes_max_(framing_bytes_max),
      allowance_(grace) {
  parser_.eager(true);
}

/// Waiting costs allowance, bytes earn it: long transfers live, dribbling ones do not. Time that
/// the handler takes between two reads is not the client's.
asio::awaitable<bool> StreamReader::read_more() {
  const auto room = buffer_.prepare(read_bytes);
  const std::span<char> into{static_cast<char*>(room.data()), room.size()};
  const Clock::time_point start = Clock::now();
  stream_.set_deadline(allowance_);
  const std::size_t count = co_await stream_.read_some(into);
  stream_.clear_deadline();
  buffer_.commit(count);
  const auto waited = std::chrono::duration_cast<milliseconds>(Clock::now() - start);
  const milliseconds earned{count * 1000 / read_rate_min_bytes};
  allowance_ = std::clamp(allowance_ - waited + earned, milliseconds{1}, grace_);
  co_return count > 0;
}

asio::awaitable<std::optional<std::string>> StreamReader::read() {
  if (waits_for_continue_ && !parser_.is_done()) {
    // When this fails, so does the reading that follows.
    stream_.set_deadline(grace_);
    co_await stream_.write("HTTP/1.1 100 Continue\r\n\r\n", {});
  }
  waits_for_continue_ = false;
  std::string part;
  while (part.empty() && !parser_.is_done()) {
    if (buffer_.size() == 0) {
      const bool alive = co_await read_more();
      if (!alive) {
        gone_ = true;
        throw BodyError{BodyError::Reason::gone, "the body ended before its end"};
      }
    }
    part.resize(std::min(part_bytes_max, buffer_.size()));
    auto& body = parser_.get().body();
    body.data = part.data();
    body.size = part.size();
    body.more = true;
    beast::error_code error;
    buffer_.consume(parser_.put(buffer_.cdata(), error));
    part.resize(part.size() - body.size);
    if (error == beast::http::error::need_more && part.empty()) {
      // An incomplete line of the framing stays in the buffer until the rest has come.
      if (buffer_.size() > framing_bytes_max_) {
        throw BodyError{BodyError::Reason::malformed, framing_too_long};
      }
      const bool alive = co_await read_more();
      if (!alive) {
        gone_ = true;
        throw BodyError{BodyError::Reason::gone, "the body ended before its end"};
      }
    } else if (error == beast::http::error::body_limit) {
      throw BodyError{BodyError::Reason::too_large, "the body is too large for this resource"};
    } else if (error && error != beast::http::error::need_more &&
               error != beast::http::error::need_buffer) {
      throw BodyError{BodyError::Reason::malformed, "the body is malformed: " + error.message()};
    }
  }
  co_return part.empty() ? std::nullopt : std::optional<std::string>{std::move(part)};
}

StreamWriter::StreamWriter(ByteStream& stream, std::string head, Framing framing,
                           milliseconds piece_timeout)
    : stream_(stream),
      pending_(std::move(head)),
      framing_(framing),
      piece_timeout_(piece_timeout) {}

/// Sends `pending_`, then empties it.
asio::awaitable<bool> StreamWriter::send(std::string_view bytes) {
  if (failed_) {
    co_return false;
  }
  started_ = true;
  pending_.append(bytes);
  stream_.set_deadline(piece_timeout_);
  const auto error = co_await stream_.write(pending_, {});
  stream_.clear_deadline();
  pending_.clear();
  failed_ = static_cast<bool>(error);
  co_return !failed_;
}

asio::awaitable<bool> StreamWriter::write(std::string_view chunk) {
  if (chunk.empty() && !started_) {
    co_return co_await send({});
  }
  while (!chunk.empty() && !failed_) {
    const std::string_view piece = chunk.substr(0, piece_bytes);
    chunk.remove_prefix(piece.size());
    if (framing_ == Framing::chunked) {
      std::array<char, 16> digits{};
      const auto end =
          std::to_chars(digits.data(), digits.data() + digits.size(), piece.size(), 16);
      pending_.append(digits.data(), end.ptr).append("\r\n").append(piece);
      co_await send("\r\n");
    } else {
      co_await send(piece);
    }
  }
  co_return !failed_;
}

asio::awaitable<bool> StreamWriter::finish() {
  co_return co_await send(framing_ == Framing::chunked ? "0\r\n\r\n" : "");
}

}  // namespace skerry::http
