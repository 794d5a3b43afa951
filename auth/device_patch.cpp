#include "auth/device_patch.hpp"

#include <algorithm>
#include <string_view>

#include "base/limits.hpp"
#include "mqtt/topic.hpp"

namespace skerry::auth {

namespace {

RegistryFailure invalid(std::string what, std::string field) {
  return {RegistryError::invalid_field, std::move(what), std::move(field)};
}

bool is_control(char character) noexcept {
  const auto byte = static_cast<unsigned char>(character);
  return byte < 0x20 || byte == 0x7F;
}

/// UTF-8 without control characters: it ends in logs, CSV cells and web pages.
bool is_plain_text(std::string_view text) noexcept {
  return std::none_of(text.begin(), text.end(), is_control) && mqtt::is_valid_utf8(text);
}

std::optional<RegistryFailure> check_text(const std::optional<std::string>& text,
                                          const char* field) {
  if (!text || (text->size() <= device_text_bytes_max && is_plain_text(*text))) {
    return std::nullopt;
  }
  return invalid("this takes at most " + std::to_string(device_text_bytes_max) +
                     " bytes of UTF-8 without control characters",
                 field);
}

bool is_valid_tag(std::string_view tag) noexcept {
  return !tag.empty() && tag.size() <= tag_bytes_max && is_plain_text(tag) && tag.front() != ' ' &&
         tag.back() != ' ' && tag.find(';') == std::string_view::npos;
}

std::optional<RegistryFailure> check_tags(const std::vector<std::string>& tags) {
  if (tags.size() > tags_per_device_max) {
    return invalid("a device has at most " + std::to_string(tags_per_device_max) + " tags",
                   "/tags");
  }
  for (std::size_t index = 0; index < tags.size(); ++index) {
    if (!is_valid_tag(tags[index])) {
      return invalid("a tag has 1 to " + std::to_string(tag_bytes_max) +
                         " bytes of UTF-8, no control character, no ';' and no blank at its ends",
                     "/tags/" + std::to_string(index));
    }
  }
  return std::nullopt;
}

bool is_valid_attribute_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= attribute_name_bytes_max &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

std::optional<RegistryFailure> check_attributes(const DevicePatch& patch) {
  for (const auto& [name, value] : patch.attributes) {
    if (!is_valid_attribute_name(name)) {
      return invalid("the name of an attribute has 1 to " +
                         std::to_string(attribute_name_bytes_max) +
                         " letters, digits, '.', '_' or '-'",
                     "/attributes");
    }
    if (value &&
        (value->empty() || value->size() > attribute_value_bytes_max || !is_plain_text(*value))) {
      return invalid("an attribute has 1 to " + std::to_string(attribute_value_bytes_max) +
                         " bytes of UTF-8 without control characters",
                     "/attributes/" + name);
    }
  }
  return std::nullopt;
}

std::optional<RegistryFailure> check_keys(const std::vector<KeyWish>& keys) {
  if (keys.size() > keys_per_device_max) {
    return RegistryFailure{RegistryError::invalid_fingerprint,
                           "a device has at most " + std::to_string(keys_per_device_max) + " keys",
                           "/keys"};
  }
  for (std::size_t index = 0; index < keys.size(); ++index) {
    const std::string field = "/keys/" + std::to_string(index);
    if (!is_valid_fingerprint(keys[index].fingerprint)) {
      return RegistryFailure{
          RegistryError::invalid_fingerprint,
          "a key fingerprint is the SHA-256 of the public key (SubjectPublicKeyInfo in DER) in 64 "
          "lower-case hexadecimal digits",
          field};
    }
    const auto here = keys.begin() + static_cast<std::ptrdiff_t>(index);
    if (std::any_of(keys.begin(), here, [&](const KeyWish& earlier) {
          return earlier.fingerprint == here->fingerprint;
        })) {
      return RegistryFailure{RegistryError::invalid_fingerprint, "a key is named twice", field};
    }
  }
  return std::nullopt;
}

bool apply_keys(const std::vector<KeyWish>& wishes, WallTime now, Device& device) {
  bool changed = false;
  std::vector<DeviceKey> keys;
  for (const KeyWish& wish : wishes) {
    DeviceKey* known = device.key(wish.fingerprint);
    if (known == nullptr) {
      keys.push_back({wish.fingerprint, now, {}, wish.not_after});
      changed = true;
      continue;
    }
    changed = changed || known->not_after != wish.not_after;
    known->not_after = wish.not_after;
    keys.push_back(*known);
  }
  // The order of keys means nothing, so another one alone is no change.
  changed = changed || keys.size() != device.keys.size();
  if (changed) {
    device.keys = std::move(keys);
  }
  return changed;
}

bool apply_attributes(const DevicePatch& patch, Device& device) {
  auto attributes = patch.attributes_replaced ? decltype(device.attributes){} : device.attributes;
  for (const auto& [name, value] : patch.attributes) {
    if (value) {
      attributes.insert_or_assign(name, *value);
    } else {
      attributes.erase(name);
    }
  }
  const bool changed = attributes != device.attributes;
  device.attributes = std::move(attributes);
  return changed;
}

template <typename Value>
bool assign(const std::optional<Value>& wish, Value& value) {
  if (!wish || *wish == value) {
    return false;
  }
  value = *wish;
  return true;
}

}  // namespace

std::optional<RegistryFailure> check_patch(const DevicePatch& patch) {
  for (const auto& [text, field] : {std::pair{&patch.name, "/name"},
                                    {&patch.model, "/model"},
                                    {&patch.serial_number, "/serialNumber"}}) {
    if (auto failure = check_text(*text, field)) {
      return failure;
    }
  }
  if (patch.keys) {
    if (auto failure = check_keys(*patch.keys)) {
      return failure;
    }
  }
  if (patch.tags) {
    if (auto failure = check_tags(*patch.tags)) {
      return failure;
    }
  }
  return check_attributes(patch);
}

bool apply_patch(const DevicePatch& patch, WallTime now, Device& device) {
  bool changed = patch.keys && apply_keys(*patch.keys, now, device);
  changed = assign(patch.name, device.name) || changed;
  changed = assign(patch.model, device.model) || changed;
  changed = assign(patch.serial_number, device.serial_number) || changed;
  changed = assign(patch.not_after, device.not_after) || changed;
  if (patch.tags) {
    std::vector<std::string> tags = *patch.tags;
    std::sort(tags.begin(), tags.end());
    tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
    changed = changed || tags != device.tags;
    device.tags = std::move(tags);
  }
  return apply_attributes(patch, device) || changed;
}

bool changes_keys(const DevicePatch& patch, WallTime now, Device device) {
  return patch.keys && apply_keys(*patch.keys, now, device);
}

std::optional<RegistryFailure> check_device(const Device& device) {
  if (device.attributes.size() > attributes_per_device_max) {
    return invalid(
        "a device has at most " + std::to_string(attributes_per_device_max) + " attributes",
        "/attributes");
  }
  if (device.keys.size() > keys_per_device_max) {
    return RegistryFailure{RegistryError::invalid_fingerprint,
                           "a device has at most " + std::to_string(keys_per_device_max) + " keys",
                           "/keys"};
  }
  return std::nullopt;
}

}  // namespace skerry::auth
