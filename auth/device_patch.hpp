// DevicePatch: what somebody wants of a device, for creation, replacement, merge and import alike.
// A member that is not set leaves the device as it is.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "auth/registry_outcome.hpp"

namespace skerry::auth {

struct KeyWish {
  std::string fingerprint;
  std::optional<WallTime> not_after = {};

  bool operator==(const KeyWish&) const = default;
};

struct DevicePatch {
  /// The whole set of keys: those missing here go, and their certificates are revoked.
  std::optional<std::vector<KeyWish>> keys;
  std::optional<std::string> name;
  std::optional<std::string> model;
  std::optional<std::string> serial_number;
  std::optional<std::vector<std::string>> tags;  ///< any order, duplicates collapse
  /// By name; nullopt removes. With `attributes_replaced` all others go as well.
  std::map<std::string, std::optional<std::string>, std::less<>> attributes;
  bool attributes_replaced = false;
  std::optional<std::optional<WallTime>> not_after;  ///< an inner nullopt: no end
};

/// What is wrong with the patch itself, whatever is registered: caps of base/limits.hpp, character
/// rules, doubles.
std::optional<RegistryFailure> check_patch(const DevicePatch& patch);

/// Applies a checked patch and says whether that made a difference. Keys that stay keep their
/// certificates, new ones are `added` now. A device may end with more attributes than allowed:
/// check_device() afterwards.
bool apply_patch(const DevicePatch& patch, WallTime now, Device& device);

/// Would the patch change the keys of this device?
bool changes_keys(const DevicePatch& patch, WallTime now, Device device);

/// The caps that only the whole can break.
std::optional<RegistryFailure> check_device(const Device& device);

}  // namespace skerry::auth
