// /api/v1/system and the API's own description.
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "admin-api/handlers.hpp"
#include "admin-api/openapi.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;

awaitable<http::Response> ready(http::Response response) {
  co_return response;
}

}  // namespace

http::EndpointTable system_endpoints(const Services& services) {
  boost::json::object version;
  version["name"] = "skerryd";
  version["version"] = services->version;
  const http::Response version_response = http::json_response(version);
  const http::Response description = http::json_response(json_from_yaml(openapi_yaml()));
  return {
      {"GET", "/api/v1/system/version", http::Guard::token, 0,
       [version_response](const http::Request&) { return ready(version_response); }},
      {"GET", "/api/v1/openapi.json", http::Guard::none, 0,
       [description](const http::Request&) { return ready(description); }},
  };
}

}  // namespace skerry::admin_api
