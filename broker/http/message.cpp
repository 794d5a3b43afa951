// Responses in JSON: plain ones and RFC 9457 problem details.
#include "http/message.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "http/status_text.hpp"

namespace skerry::http {

Response json_response(const boost::json::value& value, int status) {
  Response response;
  response.status = status;
  response.body = boost::json::serialize(value);
  return response;
}

Response no_content() {
  Response response;
  response.status = 204;
  return response;
}

Response problem(int status, std::string_view code, std::string_view detail,
                 std::string_view pointer) {
  std::string type = "/problems/" + std::string{code};
  std::replace(type.begin(), type.end(), '_', '-');
  boost::json::object body;
  body["type"] = type;
  body["title"] = status_text(status);
  body["status"] = status;
  body["code"] = code;
  body["detail"] = detail;
  if (!pointer.empty()) {
    boost::json::object error;
    error["pointer"] = pointer;
    error["detail"] = detail;
    body["errors"] = boost::json::array{std::move(error)};
  }
  Response response = json_response(body, status);
  response.content_type = "application/problem+json";
  return response;
}

}  // namespace skerry::http
