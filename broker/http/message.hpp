// Request and Response as handlers see them: whole bodies under a cap, no wire details.
#pragma once

#include <boost/json/value.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skerry::http {

struct Request {
  std::string method;                                          ///< upper case
  std::string path;                                            ///< decoded, without the query
  std::map<std::string, std::string, std::less<>> parameters;  ///< from `{name}` in the route
  std::map<std::string, std::string, std::less<>> query;       ///< decoded; the last one wins
  std::map<std::string, std::string, std::less<>> headers;     ///< names in lower case
  std::string body;
  std::string peer_address;
  std::string request_id;
  /// DER of the certificate the client has proven to hold the key of, empty without one. Nothing is
  /// said about who issued it: on the enrolment port self-signed ones are accepted.
  std::string client_certificate;
  /// Who the guard of the route found; empty on routes without a guard.
  std::string principal;

  /// Header by lower-case name; empty when absent.
  std::string_view header(std::string_view name) const {
    const auto it = headers.find(name);
    return it == headers.end() ? std::string_view{} : std::string_view{it->second};
  }
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// 200 (or `status`) with a JSON body.
Response json_response(const boost::json::value& value, int status = 200);

/// RFC 9457 problem details. `code` is stable and in snake_case ("not_in_registry"), `detail` a
/// sentence for a human; `pointer`, when given, is the JSON pointer of the field at fault.
Response problem(int status, std::string_view code, std::string_view detail,
                 std::string_view pointer = {});

}  // namespace skerry::http
