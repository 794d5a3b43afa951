// Bodies that are not held whole: a reader over the parser of a request, a writer of chunks. Each
// waits for its peer with a deadline that progress prolongs, so that neither a long transfer is cut
// nor a slow one holds a place for ever. Both belong to one exchange of one connection.
#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "http/byte_stream.hpp"
#include "http/message.hpp"
#include "http/response_head.hpp"

namespace skerry::http {

/// Said of a size of a chunk with its extensions, or of the trailer, that never ends.
inline constexpr const char* framing_too_long = "the framing of the body is too long";

class StreamReader : public BodyReader {
 public:
  using Head = boost::beast::http::request_parser<boost::beast::http::string_body>;

  /// `head` has parsed a head and no body; what it read ahead is in `buffer`. `grace` is how long
  /// the client may fall behind the minimum rate; `framing_bytes_max` caps what stands around one
  /// chunk and behind the last.
  StreamReader(ByteStream& stream, boost::beast::flat_buffer& buffer, Head&& head,
               std::chrono::milliseconds grace, std::size_t framing_bytes_max);

  /// The client waits for 100 Continue: it is sent by the first read.
  void set_continue(bool waits) noexcept { waits_for_continue_ = waits; }
  boost::asio::awaitable<std::optional<std::string>> read() override;

  /// The body was read to its end, so the next bytes are the next request's.
  bool is_done() const { return parser_.is_done(); }
  /// Nobody is there any more to read an answer.
  bool is_gone() const noexcept { return gone_; }

 private:
  boost::asio::awaitable<bool> read_more();

  ByteStream& stream_;
  boost::beast::flat_buffer& buffer_;
  boost::beast::http::request_parser<boost::beast::http::buffer_body> parser_;
  const std::chrono::milliseconds grace_;
  const std::size_t framing_bytes_max_;
  std::chrono::milliseconds allowance_;  ///< what is left of the grace
  bool waits_for_continue_ = false;
  bool gone_ = false;
};

class StreamWriter : public BodyWriter {
 public:
  StreamWriter(ByteStream& stream, std::string head, Framing framing,
               std::chrono::milliseconds piece_timeout);

  boost::asio::awaitable<bool> write(std::string_view chunk) override;
  /// Writes the end of the body.
  boost::asio::awaitable<bool> finish();

  bool started() const noexcept { return started_; }
  bool failed() const noexcept { return failed_; }

 private:
  boost::asio::awaitable<bool> send(std::string_view bytes);

  ByteStream& stream_;
  std::string pending_;  ///< what leaves next; the head before the first write
  const Framing framing_;
  const std::chrono::milliseconds piece_timeout_;
  bool started_ = false;
  bool failed_ = false;
};

}  // namespace skerry::http
