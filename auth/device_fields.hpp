// A device as the filter grammar sees it: which fields there are and what values they have. Names
// are those of the REST resource.
#pragma once

#include "auth/registry.hpp"
#include "filter/filter.hpp"

namespace skerry::auth {

/// What is known of a device's connection.
struct DevicePresence {
  std::optional<bool> online;         ///< nothing: it has not been heard of since the start
  std::optional<WallTime> last_seen;  ///< when it came, left or was last heard
};

/// id, state, name, model, serialNumber, tags, attributes.<name>, createdAt, changedAt, notAfter,
/// keys.fingerprint, keys.certificates.serial, online, lastSeen. Nothing for others.
std::optional<filter::FieldKind> device_field_kind(std::string_view field);

/// A filter over devices, held against their fields.
Result<filter::Filter, filter::FilterError> parse_device_filter(std::string_view text);

/// A view: both must outlive it.
class DeviceFields final : public filter::Fields {
 public:
  DeviceFields(const Device& device, const DevicePresence& presence)
      : device_(device), presence_(presence) {}

  bool each(std::string_view field, FunctionRef<bool(const filter::Value&)> visit) const override;

 private:
  bool each_text(FunctionRef<bool(const filter::Value&)> visit) const;

  const Device& device_;
  const DevicePresence& presence_;
};

}  // namespace skerry::auth
