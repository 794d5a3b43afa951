// The head of a response as bytes, with the headers that every answer of Skerry carries.
#include "http/response_head.hpp"

#include <algorithm>
#include <ctime>

#include "http/status_text.hpp"

namespace skerry::http {
namespace {

void append_header(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ");
  // A line break in a value would end the header and begin one of the caller's choosing.
  std::transform(value.begin(), value.end(), std::back_inserter(head), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  });
  head.append("\r\n");
}

bool is_same_name(std::string_view left, std::string_view right) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [&](char a, char b) { return lower(a) == lower(b); });
}

bool has_header(const Response& response, std::string_view name) {
  return std::any_of(response.headers.begin(), response.headers.end(),
                     [&](const auto& header) { return is_same_name(header.first, name); });
}

/// IMF-fixdate (RFC 9110 section 5.6.7).
std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[40];
  const std::size_t size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return std::string(text, size);
}

}  // namespace

bool forbids_body(int status) noexcept {
  return status < 200 || status == 204 || status == 304;
}

std::string format_head(const Response& response, const HeadContext& context) {
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
  head.append(status_text(response.status)).append("\r\n");
  append_header(head, "Date", http_date());
  if (!forbids_body(response.status)) {
    if (!response.body.empty() || context.framing != Framing::length) {
      append_header(head, "Content-Type", response.content_type);
    }
    switch (context.framing) {
      case Framing::length:
        append_header(head, "Content-Length", std::to_string(response.body.size()));
        break;
      case Framing::chunked:
        append_header(head, "Transfer-Encoding", "chunked");
        break;
      case Framing::until_close:
        break;
    }
  }
  if (!context.keep_alive) {
    append_header(head, "Connection", "close");
  } else if (context.http_1_0) {
    append_header(head, "Connection", "keep-alive");
  }
  if (!has_header(response, "Cache-Control")) {
    append_header(head, "Cache-Control", "no-store");
  }
  append_header(head, "X-Content-Type-Options", "nosniff");
  if (context.tls) {
    append_header(head, "Strict-Transport-Security", "max-age=31536000");  // RFC 6797
  }
  if (!context.request_id.empty()) {
    append_header(head, "X-Request-Id", context.request_id);
  }
  for (const auto& [name, value] : response.headers) {
    append_header(head, name, value);
  }
  head.append("\r\n");
  return head;
}

}  // namespace skerry::http
