// TopicTemplate: a topic filter with placeholders, as rules of policies have them:
// "site/{attributes.site}/+", "devices/{device}/#", "line-{model}/x". A placeholder stands for a
// part of one level and never for more: a value with a wildcard or a slash does not expand. A rule
// that allows has no effect then; one that denies takes a wildcard for that level.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "auth/device.hpp"
#include "base/result.hpp"
#include "plugin/identity.hpp"

namespace skerry::auth {

/// Who a rule is asked about.
struct PolicySubject {
  plugin::IdentityKind kind = plugin::IdentityKind::anonymous;
  std::string_view name;
  const Device* device = nullptr;  ///< null for those that are none, or are not registered
};

class TopicTemplate {
 public:
  /// The sentence of a failure says what to write instead.
  static Result<TopicTemplate, std::string> parse(std::string_view text);

  const std::string& text() const noexcept { return text_; }
  bool has_placeholders() const noexcept { return parts_.size() > 1; }
  /// Does it ask for anything that the registry knows of a device?
  bool uses_device() const noexcept { return uses_device_; }
  /// What every name it can match begins with; empty without placeholders, where matching is
  /// cheap.
  std::string_view prefix() const noexcept { return prefix_; }

  /// The filter for `subject` in `out`. False when a value is missing, empty, or holds what a level
  /// may not; then `why`, unless null, has a sentence.
  bool expand(const PolicySubject& subject, std::string& out, std::string* why) const;

  /// Are all its placeholders about this kind of client? {service} says nothing of a device.
  bool is_about(const PolicySubject& subject) const noexcept;
  /// The filter of all names that it could stand for: a level that does not expand is a wildcard.
  void expand_widely(const PolicySubject& subject, std::string& out) const;

 private:
  enum class Kind : std::uint8_t { text, device, service, name, model, serial_number, attribute };
  struct Part {
    Kind kind = Kind::text;
    std::string text;  ///< literal, or the attribute's name
  };
  static Result<Part, std::string> parse_placeholder(std::string_view name);
  static std::string_view value_of(const Part& part, const PolicySubject& subject);
  static std::string describe(const Part& part);

  std::string text_;
  std::string prefix_;
  std::vector<Part> parts_;
  bool uses_device_ = false;
};

}  // namespace skerry::auth
