// A device as the filter grammar sees it.
#include "auth/device_fields.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace skerry::auth {
namespace {

using filter::FieldKind;
using filter::Value;
using Visit = FunctionRef<bool(const Value&)>;

constexpr std::string_view attribute_prefix = "attributes.";

enum class Field : std::uint8_t {
  id,
  state,
  name,
  model,
  serial_number,
  tags,
  created,
  changed,
  not_after,
  fingerprint,
  certificate_serial,
  online,
  last_seen,
};

struct Known {
  std::string_view name;
  Field field;
  FieldKind kind;
};

constexpr auto known_fields = std::to_array<Known>({
    {"id", Field::id, FieldKind::text},
    {"state", Field::state, FieldKind::text},
    {"name", Field::name, FieldKind::text},
    {"model", Field::model, FieldKind::text},
    {"serialNumber", Field::serial_number, FieldKind::text},
    {"tags", Field::tags, FieldKind::text},
    {"createdAt", Field::created, FieldKind::time},
    {"changedAt", Field::changed, FieldKind::time},
    {"notAfter", Field::not_after, FieldKind::time},
    {"keys.fingerprint", Field::fingerprint, FieldKind::text},
    {"keys.certificates.serial", Field::certificate_serial, FieldKind::text},
    {"online", Field::online, FieldKind::boolean},
    {"lastSeen", Field::last_seen, FieldKind::time},
});

const Known* find_field(std::string_view name) noexcept {
  const auto at = std::find_if(known_fields.begin(), known_fields.end(),
                               [name](const Known& known) { return known.name == name; });
  return at == known_fields.end() ? nullptr : &*at;
}

/// An empty text is the same as none: NOT name:* finds devices without a name.
bool text(const std::string& value, Visit visit) {
  return !value.empty() && visit(Value{std::string_view{value}});
}

}  // namespace

std::optional<FieldKind> device_field_kind(std::string_view field) {
  if (field.starts_with(attribute_prefix) && field.size() > attribute_prefix.size()) {
    return FieldKind::text;
  }
  const Known* known = find_field(field);
  return known == nullptr ? std::nullopt : std::optional{known->kind};
}

Result<filter::Filter, filter::FilterError> parse_device_filter(std::string_view text) {
  auto parsed = filter::parse(text);
  if (parsed) {
    if (auto error = filter::check(*parsed, &device_field_kind)) {
      return *std::move(error);
    }
  }
  return parsed;
}

/// What free text looks at: what people have written, not what the server makes.
bool DeviceFields::each_text(Visit visit) const {
  const auto one = [&](const std::string& value) { return text(value, visit); };
  return one(device_.id) || one(device_.name) || one(device_.model) || one(device_.serial_number) ||
         std::any_of(device_.tags.begin(), device_.tags.end(), one) ||
         std::any_of(device_.attributes.begin(), device_.attributes.end(),
                     [&](const auto& attribute) { return one(attribute.second); });
}

bool DeviceFields::each(std::string_view field, Visit visit) const {
  if (field.empty()) {
    return each_text(visit);
  }
  if (field.starts_with(attribute_prefix)) {
    const auto at = device_.attributes.find(field.substr(attribute_prefix.size()));
    return at != device_.attributes.end() && visit(Value{std::string_view{at->second}});
  }
  const Known* known = find_field(field);
  if (known == nullptr) {
    return false;
  }
  switch (known->field) {
    case Field::id:
      return text(device_.id, visit);
    case Field::state:
      return visit(Value{name_of(device_.state)});
    case Field::name:
      return text(device_.name, visit);
    case Field::model:
      return text(device_.model, visit);
    case Field::serial_number:
      return text(device_.serial_number, visit);
    case Field::tags:
      return std::any_of(device_.tags.begin(), device_.tags.end(),
                         [&](const std::string& tag) { return text(tag, visit); });
    case Field::created:
      return visit(Value{device_.created});
    case Field::changed:
      return visit(Value{device_.changed});
    case Field::not_after:
      return device_.not_after && visit(Value{*device_.not_after});
    case Field::fingerprint:
      return std::any_of(device_.keys.begin(), device_.keys.end(),
                         [&](const DeviceKey& key) { return text(key.fingerprint, visit); });
    case Field::certificate_serial:
      return std::any_of(device_.keys.begin(), device_.keys.end(), [&](const DeviceKey& key) {
        return std::any_of(
            key.certificates.begin(), key.certificates.end(),
            [&](const auto& certificate) { return text(certificate.serial, visit); });
      });
    case Field::online:
      return presence_.online && visit(Value{*presence_.online});
    case Field::last_seen:
      return presence_.last_seen && visit(Value{*presence_.last_seen});
  }
  return false;
}

}  // namespace skerry::auth
