// The REST API as the commands see it.
#include "cli/api.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cli/failure.hpp"
#include "cli/output.hpp"

namespace skerry::cli {
namespace {

std::string member(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string{value->get_string()} : std::string{};
}

}  // namespace

std::string describe_problem(const HttpsResponse& response) {
  boost::json::error_code error;
  const boost::json::value body = boost::json::parse(response.body, error);
  const std::string status = "HTTP " + std::to_string(response.status);
  if (error || !body.is_object()) {
    return "the server answered " + status;
  }
  const boost::json::object& problem = body.get_object();
  std::string sentence = member(problem, "detail");
  if (sentence.empty()) {
    sentence = member(problem, "title");
  }
  std::string place;
  const boost::json::value* errors = problem.if_contains("errors");
  if (errors != nullptr && errors->is_array() && !errors->get_array().empty() &&
      errors->get_array().front().is_object()) {
    const std::string pointer = member(errors->get_array().front().get_object(), "pointer");
    place = pointer.empty() ? std::string{} : " at " + pointer;
  }
  sentence += " (" + member(problem, "code") + ", " + status + place + ")";
  if (response.status == 401 && member(problem, "code") != "wrong_credentials") {
    sentence += "; log in with: skerryctl login";
  }
  return visible(sentence);
}

Api::Api(const Settings& settings)
    : server_(
          parse_server_url(settings.server.empty()
                               ? throw Failure("log in first: skerryctl login --help", exit_usage)
                               : settings.server,
                           "8443")),
      settings_(settings) {}

boost::json::value Api::call(const std::string& method, const std::string& target,
                             const boost::json::value* body) const {
  HttpsRequest request;
  request.method = method;
  request.target = target;
  request.headers["Accept"] = "application/json";
  if (!settings_.token.empty()) {
    request.headers["Authorization"] = "Bearer " + settings_.token;
  }
  if (body != nullptr) {
    request.headers["Content-Type"] = "application/json";
    request.body = boost::json::serialize(*body);
  }
  const HttpsResponse response = send_https(server_, settings_.ca_pem, request);
  if (response.status < 200 || response.status > 299) {
    throw Failure(describe_problem(response));
  }
  if (response.body.empty()) {
    return nullptr;
  }
  boost::json::error_code error;
  boost::json::value answer = boost::json::parse(response.body, error);
  if (error) {
    throw Failure("the server answered what is no JSON");
  }
  return answer;
}

void Api::each_page(const std::string& target,
                    const std::function<bool(const boost::json::object&)>& page) const {
  std::string cursor;
  for (;;) {
    const char separator = target.find('?') == std::string::npos ? '?' : '&';
    const boost::json::value answer = call(
        "GET", cursor.empty() ? target : target + separator + "cursor=" + percent_encode(cursor));
    if (!answer.is_object()) {
      throw Failure("the server answered a list that is none");
    }
    if (!page(answer.get_object())) {
      return;
    }
    const std::string next = member(answer.get_object(), "next");
    if (next.empty() || next == cursor) {
      return;
    }
    cursor = next;
  }
}

}  // namespace skerry::cli
