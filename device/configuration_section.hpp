// One map of the configuration file, read key by key. Everything it throws is a ConfigurationError.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/configuration.hpp"

namespace skerry::agent {

class Section {
 public:
  struct Range {
    std::uint64_t minimum = 0;
    std::uint64_t maximum = 0;
  };

  /// `path` is how errors call the section; empty for the file itself. Refuses what is no map, and
  /// keys that are not among `known` or come twice.
  Section(std::string file, std::string path, const YAML::Node& node,
          std::vector<std::string_view> known);

  YAML::Node value(std::string_view key) const;
  /// A section below; an empty one when the key is absent.
  Section section(std::string_view key, std::vector<std::string_view> known) const;

  // Each leaves `target` alone when the key is absent.
  void read(std::string_view key, std::string& target) const;
  void read(std::string_view key, bool& target) const;
  void read(std::string_view key, std::vector<std::string>& target, std::size_t count_max) const;
  template <typename Number>
  void read_number(std::string_view key, Number& target, Range range) const {
    target = static_cast<Number>(number(key, target, range));
  }
  /// "16MiB", in bytes.
  void read_size(std::string_view key, std::uint64_t& target, Range range) const;
  /// "10s"; the range is in milliseconds.
  void read_duration(std::string_view key, Milliseconds& target, Range range) const;

  [[noreturn]] void fail(std::string_view key, const std::string& sentence) const;
  std::string qualified(std::string_view key) const;

 private:
  [[noreturn]] void fail_at(const YAML::Node& node, const std::string& sentence) const;
  void check_key(const YAML::Node& key) const;
  std::string scalar(const YAML::Node& node, const std::string& what) const;
  std::uint64_t number(std::string_view key, std::uint64_t otherwise, Range range) const;
  std::uint64_t measure(std::string_view key, std::uint64_t otherwise, Range range,
                        const std::vector<std::pair<std::string_view, std::uint64_t>>& units) const;

  std::string file_;
  std::string path_;
  YAML::Node node_;
  std::vector<std::string_view> known_;
};

}  // namespace skerry::agent
