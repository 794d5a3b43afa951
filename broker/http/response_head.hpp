// The head of a response as bytes, with the headers that every answer of Skerry carries.
#pragma once

#include <string>

#include "http/message.hpp"

namespace skerry::http {

/// How the end of the body is told.
enum class Framing : std::uint8_t {
  length,       ///< Content-Length of `response.body`
  chunked,      ///< HTTP/1.1
  until_close,  ///< HTTP/1.0 knows no chunks
};

struct HeadContext {
  bool tls = false;
  bool keep_alive = true;
  bool http_1_0 = false;
  std::string_view request_id;
  Framing framing = Framing::length;
};

/// Status line and headers, empty line included. Content-Length counts `response.body`, also for
/// HEAD, whose body is then not sent. Control characters in header values become spaces.
std::string format_head(const Response& response, const HeadContext& context);

/// True when the status forbids a body (RFC 9110 section 6.4.1).
bool forbids_body(int status) noexcept;

}  // namespace skerry::http
