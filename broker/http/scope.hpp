// Scopes: what a bearer token may be used for. "devices:read" names a resource and whether it is
// only looked at; "*" stands for all resources or both ways. Text in, verdict out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace skerry::http {

/// "*", "<resource>:read", "<resource>:write", "<resource>:*" or "*:read"; a resource is 1 to 32 of
/// `[a-z-]`.
bool is_valid_scope(std::string_view scope) noexcept;

/// Does a list of scopes hold everything that `wanted` stands for? `wanted` may itself be a
/// pattern, as when one token asks for another. O(list).
bool covers(const std::vector<std::string>& held, std::string_view wanted) noexcept;

/// What an endpoint needs when its row says nothing: the first segment behind "/api/v1/" with
/// ":read" for GET and HEAD, ":write" otherwise. "*" for a route that is not of the API.
std::string default_scope(std::string_view method, std::string_view route);

}  // namespace skerry::http
