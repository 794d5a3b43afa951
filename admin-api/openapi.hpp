// The description of the API. openapi.yaml is its source; a test holds it against the endpoint
// table, so that neither can change alone.
#pragma once

#include <boost/json/value.hpp>
#include <string_view>

namespace skerry::admin_api {

/// The text of openapi.yaml as it was compiled in.
const char* openapi_yaml() noexcept;

/// YAML (core schema) to JSON. Throws std::runtime_error on what is no YAML; it is called with our
/// own text, once, at start.
boost::json::value json_from_yaml(std::string_view yaml);

}  // namespace skerry::admin_api
