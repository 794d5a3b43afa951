#include "http/scope.hpp"

#include <algorithm>

namespace skerry::http {
namespace {

constexpr std::size_t resource_bytes_max = 32;
constexpr std::string_view api_prefix = "/api/v1/";

struct Parts {
  std::string_view resource;
  std::string_view way;
};

Parts split(std::string_view scope) noexcept {
  const std::size_t colon = scope.find(':');
  if (colon == std::string_view::npos) {
    return {scope, "*"};
  }
  return {scope.substr(0, colon), scope.substr(colon + 1)};
}

bool is_resource(std::string_view text) noexcept {
  return !text.empty() && text.size() <= resource_bytes_max &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; });
}

bool holds(const std::vector<std::string>& held, std::string_view resource,
           std::string_view way) noexcept {
  return std::any_of(held.begin(), held.end(), [&](const std::string& scope) {
    const Parts parts = split(scope);
    return (parts.resource == "*" || parts.resource == resource) &&
           (parts.way == "*" || parts.way == way);
  });
}

}  // namespace

bool is_valid_scope(std::string_view scope) noexcept {
  if (scope == "*" || scope == "*:read") {
    return true;
  }
  const Parts parts = split(scope);
  return scope.find(':') != std::string_view::npos && is_resource(parts.resource) &&
         (parts.way == "read" || parts.way == "write" || parts.way == "*");
}

bool covers(const std::vector<std::string>& held, std::string_view wanted) noexcept {
  const Parts parts = split(wanted);
  if (parts.way != "*") {
    return holds(held, parts.resource, parts.way);
  }
  return holds(held, parts.resource, "read") && holds(held, parts.resource, "write");
}

std::string default_scope(std::string_view method, std::string_view route) {
  if (!route.starts_with(api_prefix)) {
    return "*";
  }
  route.remove_prefix(api_prefix.size());
  const std::string_view resource = route.substr(0, route.find_first_of("/:."));
  const bool only_reads = method == "GET" || method == "HEAD";
  return std::string{resource} + (only_reads ? ":read" : ":write");
}

}  // namespace skerry::http
