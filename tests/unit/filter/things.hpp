// A thing with fields, as far as tests of filters need one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "filter/filter.hpp"

namespace skerry::test {

/// Owns its texts, since Value only views them.
struct Thing : filter::Fields {
  std::multimap<std::string, std::string, std::less<>> texts;
  std::multimap<std::string, filter::Value, std::less<>> others;

  bool each(std::string_view field, FunctionRef<bool(const filter::Value&)> visit) const override {
    for (const auto& [name, text] : texts) {
      if ((field.empty() || name == field) && visit(filter::Value{std::string_view{text}})) {
        return true;
      }
    }
    for (const auto& [name, value] : others) {
      if (name == field && visit(value)) {
        return true;
      }
    }
    return false;
  }
};

}  // namespace skerry::test
