// The REST API as the commands see it: JSON in, JSON out, problems as Failure with their detail.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <string>

#include "cli/https_client.hpp"
#include "cli/settings.hpp"

namespace skerry::cli {

class Api {
 public:
  explicit Api(const Settings& settings);

  /// The body of a 2xx answer; null when it has none. Throws Failure with the problem's detail and
  /// code otherwise.
  boost::json::value call(const std::string& method, const std::string& target,
                          const boost::json::value* body = nullptr) const;

  /// Walks a paged resource to its end, giving each page's body; stops when `page` returns false.
  void each_page(const std::string& target,
                 const std::function<bool(const boost::json::object&)>& page) const;

 private:
  ServerAddress server_;
  Settings settings_;
};

/// The sentence for an answer that is no success: the problem's detail, pointer and code, or what
/// can be said without.
std::string describe_problem(const HttpsResponse& response);

}  // namespace skerry::cli
