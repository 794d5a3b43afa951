// The REST API as the commands see it: JSON in, JSON out, problems as Failure with their detail.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <string>

#include "cli/https_client.hpp"
#include "cli/settings.hpp"

namespace skerry::cli {

/// What an answer had besides its body.
struct Answer {
  boost::json::value body;  ///< null when there is none
  std::string etag;
  int status = 200;
};

class Api {
 public:
  explicit Api(const Settings& settings);

  /// The body of a 2xx answer; null when it has none. Throws Failure with the problem's detail and
  /// code otherwise. A POST carries an Idempotency-Key and is sent once more when the connection
  /// breaks: it is not done twice.
  boost::json::value call(const std::string& method, const std::string& target,
                          const boost::json::value* body = nullptr) const;

  using Headers = std::map<std::string, std::string>;
  /// The same with headers (`If-Match`, `If-None-Match`, …); a 304 is an answer too.
  Answer request(const std::string& method, const std::string& target, const Headers& headers,
                 const boost::json::value* body = nullptr) const;

  /// Sends as it is, with the token; throws Failure for what is no success. For streams.
  HttpsResponse exchange(HttpsRequest request) const;

  /// Walks a paged resource to its end, giving each page's body; stops when `page` returns false.
  void each_page(const std::string& target,
                 const std::function<bool(const boost::json::object&)>& page) const;

 private:
  ServerAddress server_;
  Settings settings_;
};

/// The sentence for an answer that is no success: the problem's detail, pointer and code, or what
/// can be said without, and what may help.
std::string describe_problem(const HttpsResponse& response);

/// What a program learns from a status: exit_not_found, exit_denied, …
int exit_code_of(int status) noexcept;

/// `target` with a query parameter more; nothing when `value` is empty.
std::string with_parameter(const std::string& target, const char* name, const std::string& value);

}  // namespace skerry::cli
