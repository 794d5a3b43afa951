#include "auth/device.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace skerry::auth {

namespace {

constexpr std::size_t device_id_bytes_max = 64;

bool is_letter_or_digit(char character) noexcept {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         (character >= '0' && character <= '9');
}

constexpr std::array<std::pair<DeviceState, std::string_view>, 5> state_names = {{
    {DeviceState::preauthorised, "preauthorised"},
    {DeviceState::enrolled, "enrolled"},
    {DeviceState::pending, "pending"},
    {DeviceState::suspended, "suspended"},
    {DeviceState::retired, "retired"},
}};

constexpr std::array<std::pair<RevocationReason, std::string_view>, 6> reason_names = {{
    {RevocationReason::unspecified, "unspecified"},
    {RevocationReason::key_compromise, "keyCompromise"},
    {RevocationReason::affiliation_changed, "affiliationChanged"},
    {RevocationReason::superseded, "superseded"},
    {RevocationReason::cessation_of_operation, "cessationOfOperation"},
    {RevocationReason::privilege_withdrawn, "privilegeWithdrawn"},
}};

template <typename Table, typename Value>
std::string_view name_in(const Table& table, Value value) noexcept {
  const auto at = std::find_if(table.begin(), table.end(),
                               [value](const auto& entry) { return entry.first == value; });
  return at == table.end() ? std::string_view{"unknown"} : at->second;
}

template <typename Value, std::size_t size>
std::optional<Value> value_in(const std::array<std::pair<Value, std::string_view>, size>& table,
                              std::string_view name) noexcept {
  const auto at = std::find_if(table.begin(), table.end(),
                               [name](const auto& entry) { return entry.second == name; });
  return at == table.end() ? std::nullopt : std::optional{at->first};
}

}  // namespace

bool is_valid_device_id(std::string_view id) noexcept {
  if (id.empty() || id.size() > device_id_bytes_max || !is_letter_or_digit(id.front()) ||
      id == "sub" || id == "pub" || id == "health") {
    return false;
  }
  return std::all_of(id.begin(), id.end(), [](char character) {
    return is_letter_or_digit(character) || character == '.' || character == '_' ||
           character == '~' || character == '-';
  });
}

bool is_valid_fingerprint(std::string_view fingerprint) noexcept {
  return fingerprint.size() == 64 &&
         std::all_of(fingerprint.begin(), fingerprint.end(), [](char character) {
           return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'f');
         });
}

std::string_view name_of(DeviceState state) noexcept {
  return name_in(state_names, state);
}

std::optional<DeviceState> state_of(std::string_view name) noexcept {
  return value_in(state_names, name);
}

std::string_view name_of(RevocationReason reason) noexcept {
  return name_in(reason_names, reason);
}

std::optional<RevocationReason> revocation_reason_of(std::string_view name) noexcept {
  return value_in(reason_names, name);
}

const DeviceKey* Device::key(std::string_view fingerprint) const noexcept {
  const auto at = std::find_if(keys.begin(), keys.end(), [fingerprint](const DeviceKey& key) {
    return key.fingerprint == fingerprint;
  });
  return at == keys.end() ? nullptr : &*at;
}

DeviceKey* Device::key(std::string_view fingerprint) noexcept {
  return const_cast<DeviceKey*>(std::as_const(*this).key(fingerprint));
}

}  // namespace skerry::auth
