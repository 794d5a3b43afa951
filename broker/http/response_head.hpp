// The head of a response as bytes, with the headers that every answer of Skerry carries.
#pragma once

#include <string>

#include "http/message.hpp"

namespace skerry::http {

struct HeadContext {
  bool tls = false;
  bool keep_alive = true;
  bool http_1_0 = false;
  std::string_view request_id;
};

/// Status line and headers, empty line included. Content-Length counts `response.body`, also for
/// HEAD, whose body is then not sent. Control characters in header values become spaces.
std::string format_head(const Response& response, const HeadContext& context);

/// True when the status forbids a body (RFC 9110 section 6.4.1).
bool forbids_body(int status) noexcept;

}  // namespace skerry::http
