// From YAML to JSON. yaml-cpp keeps scalars as text; plain ones get their type back here, quoted
// ones stay strings.
#include "admin-api/openapi.hpp"

#include <yaml-cpp/yaml.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <string>

namespace skerry::admin_api {
namespace {

boost::json::value convert_scalar(const YAML::Node& node) {
  const std::string text = node.Scalar();
  if (node.Tag() == "!") {  // quoted, or a block of text
    return boost::json::value(text);
  }
  if (text == "true" || text == "false" || text == "null") {
    return boost::json::parse(text);
  }
  const bool looks_numeric =
      !text.empty() && text.find_first_not_of("+-.0123456789eE") == std::string::npos;
  boost::json::error_code error;
  boost::json::value number = looks_numeric ? boost::json::parse(text, error) : nullptr;
  return looks_numeric && !error ? number : boost::json::value(text);
}

boost::json::value convert(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      return nullptr;
    case YAML::NodeType::Scalar:
      return convert_scalar(node);
    case YAML::NodeType::Sequence: {
      boost::json::array array;
      for (const YAML::Node& item : node) {
        array.push_back(convert(item));
      }
      return array;
    }
    case YAML::NodeType::Map: {
      boost::json::object object;
      for (const auto& member : node) {
        object[member.first.Scalar()] = convert(member.second);
      }
      return object;
    }
  }
  return nullptr;
}

}  // namespace

boost::json::value json_from_yaml(std::string_view yaml) {
  return convert(YAML::Load(std::string{yaml}));
}

}  // namespace skerry::admin_api
