// The REST API as the commands see it.
#include "cli/api.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cli/failure.hpp"
#include "cli/output.hpp"
#include "crypto/random.hpp"

namespace skerry::cli {
namespace {

std::string member(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string{value->get_string()} : std::string{};
}

/// What to do about it, where that is no guess.
std::string hint_for(const HttpsResponse& response, const std::string& code) {
  if (response.status == 401 && code != "wrong_credentials") {
    return "; log in with: skerryctl login";
  }
  if (code == "insufficient_scope") {
    return "; use a token that has this scope: --token, or skerryctl login";
  }
  if (response.status == 412) {
    return "; look at it again, it has changed meanwhile";
  }
  if (const std::string wait = response.header("retry-after"); !wait.empty()) {
    return "; try again in " + wait + " s";
  }
  return {};
}

/// " at /id", or a line for each field when there are several.
std::string places_of(const boost::json::object& problem, std::string& lines) {
  const boost::json::value* errors = problem.if_contains("errors");
  if (errors == nullptr || !errors->is_array() || errors->get_array().empty()) {
    return {};
  }
  std::string first;
  for (const boost::json::value& error : errors->get_array()) {
    if (!error.is_object()) {
      continue;
    }
    const std::string pointer = member(error.get_object(), "pointer");
    if (errors->get_array().size() > 1) {
      lines += "\n  " + visible(pointer + ": " + member(error.get_object(), "detail"));
    } else if (!pointer.empty()) {
      first = " at " + pointer;
    }
  }
  return first;
}

}  // namespace

int exit_code_of(int status) noexcept {
  switch (status) {
    case 401:
    case 403:
      return exit_denied;
    case 404:
      return exit_not_found;
    case 409:
    case 412:
    case 428:
      return exit_conflict;
    default:
      return exit_failure;
  }
}

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
  const std::string code = member(problem, "code");
  std::string lines;
  const std::string place = places_of(problem, lines);
  sentence += " (" + code + ", " + status + place + ")" + hint_for(response, code);
  return visible(sentence) + lines;
}

std::string with_parameter(const std::string& target, const char* name, const std::string& value) {
  if (value.empty()) {
    return target;
  }
  const char separator = target.find('?') == std::string::npos ? '?' : '&';
  return target + separator + name + "=" + percent_encode(value);
}

Api::Api(const Settings& settings)
    : server_(
          parse_server_url(settings.server.empty()
                               ? throw Failure("log in first: skerryctl login --help", exit_usage)
                               : settings.server,
                           "8443")),
      settings_(settings) {}

HttpsResponse Api::exchange(HttpsRequest request) const {
  if (!settings_.token.empty()) {
    request.headers["Authorization"] = "Bearer " + settings_.token;
  }
  const bool may_repeat = request.headers.contains("Idempotency-Key") && !request.source;
  HttpsResponse response;
  try {
    response = send_https(server_, settings_.ca_pem, request);
  } catch (const Failure& failure) {
    if (!may_repeat || failure.exit_code != exit_unreachable) {
      throw;
    }
    response = send_https(server_, settings_.ca_pem, request);
  }
  if ((response.status < 200 || response.status > 299) && response.status != 304) {
    throw Failure(describe_problem(response), exit_code_of(response.status));
  }
  return response;
}

Answer Api::request(const std::string& method, const std::string& target, const Headers& headers,
                    const boost::json::value* body) const {
  HttpsRequest request;
  request.method = method;
  request.target = target;
  request.headers = headers;
  request.headers.try_emplace("Accept", "application/json");
  if (method == "POST") {
    request.headers.try_emplace("Idempotency-Key", crypto::random_token(16));
  }
  if (body != nullptr) {
    request.headers.try_emplace("Content-Type", "application/json");
    request.body = boost::json::serialize(*body);
  }
  const HttpsResponse response = exchange(std::move(request));
  Answer answer;
  answer.status = response.status;
  answer.etag = response.header("etag");
  if (!response.body.empty()) {
    boost::json::error_code error;
    answer.body = boost::json::parse(response.body, error);
    if (error) {
      throw Failure("the server answered what is no JSON");
    }
  }
  return answer;
}

boost::json::value Api::call(const std::string& method, const std::string& target,
                             const boost::json::value* body) const {
  return request(method, target, {}, body).body;
}

void Api::each_page(const std::string& target,
                    const std::function<bool(const boost::json::object&)>& page) const {
  std::string cursor;
  for (;;) {
    const boost::json::value answer = call("GET", with_parameter(target, "cursor", cursor));
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
