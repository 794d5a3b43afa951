// Section: one map of the configuration file, read key by key with errors that name file, line and
// what to write instead. Everything it throws is a ConfigurationError.
#pragma once

#include <yaml-cpp/yaml.h>

#include <array>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/configuration.hpp"

namespace skerry::app {

/// Throws ConfigurationError "name:line: sentence" for the place of `node`.
[[noreturn]] void fail_at(const std::string& name, const YAML::Node& node,
                          const std::string& sentence);

class Section {
 public:
  /// `path` is how errors call the section: "limits", "listeners[0].tls"; empty for the file
  /// itself. Refuses what is no map, keys that are not among `known`, and keys that come twice.
  Section(std::string name, std::string path, const YAML::Node& node,
          std::vector<std::string_view> known);

  /// The value of `key`; an undefined node when it is not there. An empty value is an error.
  YAML::Node value(std::string_view key) const;

  // Each leaves `target` alone when the key is absent.
  void read(std::string_view key, std::string& target) const;
  void read(std::string_view key, bool& target) const;
  void read(std::string_view key, std::vector<std::string>& target) const;

  struct Range {
    std::uint64_t minimum = 0;
    std::uint64_t maximum = 0;
  };
  /// A whole number in the range.
  std::uint64_t read_number(std::string_view key, std::uint64_t otherwise, Range range) const;
  /// A size ("2MiB") in the range of bytes.
  std::uint64_t read_size(std::string_view key, std::uint64_t otherwise, Range range) const;
  /// A duration ("10s") in the range of milliseconds.
  std::chrono::milliseconds read_duration(std::string_view key, std::chrono::milliseconds otherwise,
                                          Range range) const;

  template <typename Value>
  using Choices = std::initializer_list<std::pair<std::string_view, Value>>;
  /// One of the words of `choices`.
  template <typename Value>
  void read_choice(std::string_view key, Value& target, Choices<Value> choices) const {
    if (const YAML::Node node = value(key)) {
      target = choose(node, qualified(key), choices);
    }
  }
  template <typename Value>
  Value choose(const YAML::Node& node, const std::string& what, Choices<Value> choices) const {
    const std::string word = scalar(node, what);
    std::vector<std::string_view> words;
    for (const auto& [name, choice] : choices) {
      if (name == word) {
        return choice;
      }
      words.push_back(name);
    }
    fail_choice(node, what, word, words);
  }

  /// "limits.packet_size_max"
  std::string qualified(std::string_view key) const;
  const std::string& file() const noexcept { return name_; }
  [[noreturn]] void fail(const YAML::Node& node, const std::string& sentence) const {
    fail_at(name_, node, sentence);
  }
  /// The text of a scalar; anything else is an error.
  std::string scalar(const YAML::Node& node, const std::string& what) const;

 private:
  [[noreturn]] void fail_choice(const YAML::Node& node, const std::string& what,
                                const std::string& word,
                                const std::vector<std::string_view>& words) const;
  void check_key(const YAML::Node& key) const;

  std::string name_;
  std::string path_;
  YAML::Node node_;
  std::vector<std::string_view> known_;
};

}  // namespace skerry::app
