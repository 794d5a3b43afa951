// Members of JSON objects that are named twice. RFC 8259 section 4 leaves their meaning open: one
// reader takes the first, another the last, and what was checked is not what is done.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace skerry::http {

/// The pointer (RFC 6901) of the first member of any object in `json` whose name its object has
/// already, with names cut at 64 bytes; nothing when there is none. Names are compared as they
/// read, without their escapes. `json` is a whole document that has been parsed, of at most
/// json_depth_max levels: of another the answer is nothing. O(n log n).
std::optional<std::string> repeated_member(std::string_view json);

/// A member's name as it stands in a pointer (RFC 6901), cut at 64 bytes.
std::string pointer_part(std::string_view name);

}  // namespace skerry::http
