// The reason phrases of HTTP status codes.
#pragma once

#include <string_view>

namespace skerry::http {

/// "Not Found" for 404; "Unknown" for a code that Skerry does not use.
std::string_view status_text(int status) noexcept;

}  // namespace skerry::http
