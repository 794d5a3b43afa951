#include "auth/policy_template.hpp"

#include <algorithm>

#include "base/limits.hpp"
#include "mqtt/topic.hpp"

namespace skerry::auth {
namespace {

constexpr std::string_view attribute_prefix = "attributes.";
constexpr std::size_t attribute_name_bytes_max = 128;

/// A value may become a part of a level when it can neither end the level nor be a wildcard.
bool fits_in_level(std::string_view value) noexcept {
  return !value.empty() && value.find_first_of(std::string_view{"/+#\0", 4}) == value.npos;
}

}  // namespace

Result<TopicTemplate::Part, std::string> TopicTemplate::parse_placeholder(std::string_view name) {
  if (name == "device") {
    return Part{Kind::device, {}};
  }
  if (name == "service") {
    return Part{Kind::service, {}};
  }
  if (name == "name") {
    return Part{Kind::name, {}};
  }
  if (name == "model") {
    return Part{Kind::model, {}};
  }
  if (name == "serialNumber") {
    return Part{Kind::serial_number, {}};
  }
  if (name.starts_with(attribute_prefix) && name.size() > attribute_prefix.size() &&
      name.size() <= attribute_prefix.size() + attribute_name_bytes_max) {
    return Part{Kind::attribute, std::string{name.substr(attribute_prefix.size())}};
  }
  return "unknown placeholder {" + std::string{name.substr(0, 64)} +
         "}; known are {device}, {service}, {name}, {model}, {serialNumber} and "
         "{attributes.<name>}";
}

Result<TopicTemplate, std::string> TopicTemplate::parse(std::string_view text) {
  if (text.empty() || text.size() > policy_topic_bytes_max) {
    return "a topic has 1 to " + std::to_string(policy_topic_bytes_max) + " bytes";
  }
  TopicTemplate made;
  made.text_ = text;
  std::string shape;  // with a plain letter for each placeholder
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t brace = rest.find_first_of("{}");
    const std::string_view literal = rest.substr(0, brace);
    if (!literal.empty()) {
      made.parts_.push_back({Kind::text, std::string{literal}});
      shape.append(literal);
    }
    if (brace == std::string_view::npos) {
      break;
    }
    const std::size_t end = rest.find('}', brace);
    if (rest[brace] == '}' || end == std::string_view::npos) {
      return std::string{"a placeholder is written {device}; { and } stand for nothing else"};
    }
    auto part = parse_placeholder(rest.substr(brace + 1, end - brace - 1));
    if (!part) {
      return std::move(part).error();
    }
    made.uses_device_ = made.uses_device_ || part->kind > Kind::service;
    made.parts_.push_back(*std::move(part));
    shape += 'x';
    rest.remove_prefix(end + 1);
  }
  if (mqtt::is_shared_filter(text)) {
    return std::string{"write the filter without $share/group/: groups are judged by their filter"};
  }
  if (!mqtt::is_valid_topic_filter(shape) || !mqtt::is_valid_utf8(shape)) {
    return std::string{"this is no topic filter; # stands alone in the last level, + alone in one"};
  }
  if (made.parts_.size() == 1 && made.parts_.front().kind == Kind::text) {
    return made;
  }
  made.prefix_ = text.substr(0, text.find_first_of("{+#"));
  // One literal part says "no placeholders"; a lone placeholder must not look like that.
  if (made.parts_.size() == 1) {
    made.parts_.push_back({Kind::text, {}});
  }
  return made;
}

std::string_view TopicTemplate::value_of(const Part& part, const PolicySubject& subject) {
  using plugin::IdentityKind;
  switch (part.kind) {
    case Kind::text:
      return part.text;
    case Kind::device:
      return subject.kind == IdentityKind::device ? subject.name : std::string_view{};
    case Kind::service:
      return subject.kind == IdentityKind::service ? subject.name : std::string_view{};
    case Kind::name:
      return subject.device != nullptr ? subject.device->name : std::string_view{};
    case Kind::model:
      return subject.device != nullptr ? subject.device->model : std::string_view{};
    case Kind::serial_number:
      return subject.device != nullptr ? subject.device->serial_number : std::string_view{};
    case Kind::attribute:
      break;
  }
  if (subject.device == nullptr) {
    return {};
  }
  const auto found = subject.device->attributes.find(part.text);
  return found != subject.device->attributes.end() ? found->second : std::string_view{};
}

std::string TopicTemplate::describe(const Part& part) {
  switch (part.kind) {
    case Kind::text:
      return part.text;
    case Kind::device:
      return "{device}";
    case Kind::service:
      return "{service}";
    case Kind::name:
      return "{name}";
    case Kind::model:
      return "{model}";
    case Kind::serial_number:
      return "{serialNumber}";
    case Kind::attribute:
      return "{attributes." + part.text + "}";
  }
  return {};
}

bool TopicTemplate::expand(const PolicySubject& subject, std::string& out, std::string* why) const {
  out.clear();
  for (const Part& part : parts_) {
    const std::string_view value = value_of(part, subject);
    if (part.kind != Kind::text && !fits_in_level(value)) {
      if (why != nullptr) {
        *why = describe(part) +
               (value.empty() ? " has no value here" : " has a value that is no part of a level");
      }
      return false;
    }
    out.append(value);
  }
  return true;
}

bool TopicTemplate::is_about(const PolicySubject& subject) const noexcept {
  using plugin::IdentityKind;
  return std::all_of(parts_.begin(), parts_.end(), [&](const Part& part) {
    return part.kind == Kind::text ||
           subject.kind ==
               (part.kind == Kind::service ? IdentityKind::service : IdentityKind::device);
  });
}

void TopicTemplate::expand_widely(const PolicySubject& subject, std::string& out) const {
  constexpr char unknown = '\0';  // which no topic has
  out.clear();
  for (const Part& part : parts_) {
    const std::string_view value = value_of(part, subject);
    if (part.kind == Kind::text || fits_in_level(value)) {
      out.append(value);
    } else {
      out.push_back(unknown);
    }
  }
  for (std::size_t at = out.find(unknown); at != out.npos; at = out.find(unknown)) {
    const std::size_t slash = out.rfind('/', at);
    const std::size_t begin = slash == out.npos ? 0 : slash + 1;
    const std::size_t end = std::min(out.find('/', at), out.size());
    out.replace(begin, end - begin, "+");
  }
}

}  // namespace skerry::auth
