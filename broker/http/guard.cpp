#include "http/guard.hpp"

#include <algorithm>

#include "http/scope.hpp"

namespace skerry::http {
namespace {

/// Bearer token of an Authorization header (RFC 6750 section 2.1); empty when there is none.
std::string_view bearer_token(std::string_view value) {
  constexpr std::string_view scheme = "bearer ";
  const auto same = [](char c, char wanted) {
    return (c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) == wanted;
  };
  if (value.size() <= scheme.size() ||
      !std::equal(scheme.begin(), scheme.end(), value.begin(),
                  [&](char wanted, char c) { return same(c, wanted); })) {
    return {};
  }
  value.remove_prefix(scheme.size());
  while (!value.empty() && value.front() == ' ') {
    value.remove_prefix(1);
  }
  return value;
}

void tell(const ServerOptions& options, const Request& request, std::string_view code,
          std::string_view scope) {
  options.refused({request.principal, request.method, request.path, request.peer_address,
                   std::string{code}, std::string{scope}});
}

/// RFC 6750 section 3: the error is named only when a token was shown.
Response refuse_token(const ServerOptions& options, const Request& request, bool shown) {
  if (!shown) {
    Response response =
        problem(401, "token_missing", "this needs an API token: \"Authorization: Bearer …\"");
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"skerry\"");
    return response;
  }
  Response response = problem(401, "token_invalid", "the API token is unknown, expired or revoked");
  response.headers.emplace_back("WWW-Authenticate",
                                "Bearer realm=\"skerry\", error=\"invalid_token\"");
  tell(options, request, "token_invalid", {});
  options.log(options.name + ": refused an invalid token from " + request.peer_address + " for " +
              request.method + " " + request.path);
  return response;
}

}  // namespace

std::optional<Response> check_guard(const ServerOptions& options, const Endpoint& endpoint,
                                    Request& request) {
  const std::string_view token = bearer_token(request.header("authorization"));
  if (!token.empty() && options.guard) {
    Principal principal = options.guard(token);
    request.principal = std::move(principal.name);
    request.scopes = std::move(principal.scopes);
    request.token_is_live = std::move(principal.is_live);
    request.token_id = std::move(principal.token_id);
  }
  if (endpoint.guard == Guard::none) {
    return std::nullopt;
  }
  if (request.principal.empty()) {
    return refuse_token(options, request, !token.empty());
  }
  if (covers(request.scopes, endpoint.scope)) {
    return std::nullopt;
  }
  tell(options, request, "insufficient_scope", endpoint.scope);
  Response response =
      problem(403, "insufficient_scope",
              "the API token is not good for this; it needs the scope " + endpoint.scope);
  response.headers.emplace_back(
      "WWW-Authenticate",
      "Bearer realm=\"skerry\", error=\"insufficient_scope\", scope=\"" + endpoint.scope + "\"");
  return response;
}

EndpointTable with_scopes(EndpointTable table) {
  for (Endpoint& endpoint : table) {
    if (endpoint.scope.empty()) {
      endpoint.scope = default_scope(endpoint.method, endpoint.route);
    }
  }
  return table;
}

}  // namespace skerry::http
