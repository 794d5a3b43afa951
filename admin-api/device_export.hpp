// Devices as lines of a file that an import takes back: what an operator has said of them. What the
// gateway itself notes (revisions, times, certificates) stays out, pending devices as well.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "auth/device.hpp"

namespace skerry::admin_api {

/// Appends one JSON object and a line feed.
void append_ndjson(std::string& out, const auth::Device& device);

/// The header for devices with these attributes, and a line under it; CRLF (RFC 4180).
void append_csv_header(std::string& out, const std::set<std::string, std::less<>>& attributes);
void append_csv(std::string& out, const auth::Device& device,
                const std::set<std::string, std::less<>>& attributes);

}  // namespace skerry::admin_api
