#include "auth/registry_journal.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>

namespace skerry::auth {

namespace {

namespace json = boost::json;

json::value time_or_null(const std::optional<WallTime>& time) {
  return time ? json::value(epoch_milliseconds(*time)) : json::value(nullptr);
}

template <typename Value>
void tell_pair(json::object& object, const char* name, const Value& before, const Value& after) {
  if (before != after) {
    object[name] = json::array{json::value_from(before), json::value_from(after)};
  }
}

/// Fingerprints that `one` has and `other` has not.
json::array keys_missing(const Device& one, const Device& other) {
  json::array missing;
  for (const DeviceKey& key : one.keys) {
    if (other.key(key.fingerprint) == nullptr) {
      missing.emplace_back(key.fingerprint);
    }
  }
  return missing;
}

json::array certificates_missing(const Device& one, const Device& other) {
  json::array missing;
  for (const DeviceKey& key : one.keys) {
    const DeviceKey* same = other.key(key.fingerprint);
    for (const DeviceCertificate& certificate : key.certificates) {
      bool found = false;
      if (same != nullptr) {
        for (const DeviceCertificate& each : same->certificates) {
          found = found || each.serial == certificate.serial;
        }
      }
      if (!found) {
        missing.emplace_back(certificate.serial);
      }
    }
  }
  return missing;
}

void tell_list(json::object& object, const char* name, json::array list) {
  if (!list.empty()) {
    object[name] = std::move(list);
  }
}

}  // namespace

std::string describe_change(const Device* before, const Device& after,
                            const std::vector<RevokedCertificate>& revoked) {
  static const Device nothing;
  const Device& old = before == nullptr ? nothing : *before;
  json::object object;
  if (before == nullptr) {
    object["state"] = name_of(after.state);
  } else {
    tell_pair(object, "state", std::string{name_of(old.state)}, std::string{name_of(after.state)});
    tell_pair(object, "revision", old.revision, after.revision);
  }
  tell_pair(object, "name", old.name, after.name);
  tell_pair(object, "model", old.model, after.model);
  tell_pair(object, "serialNumber", old.serial_number, after.serial_number);
  tell_pair(object, "tags", old.tags, after.tags);
  if (old.attributes != after.attributes) {
    json::object attributes;
    for (const auto& [name, value] : after.attributes) {
      attributes[name] = value;
    }
    object["attributes"] = std::move(attributes);
  }
  if (old.not_after != after.not_after) {
    object["notAfter"] = json::array{time_or_null(old.not_after), time_or_null(after.not_after)};
  }
  tell_list(object, "keysAdded", keys_missing(after, old));
  tell_list(object, "keysRemoved", keys_missing(old, after));
  tell_list(object, "certificatesIssued", certificates_missing(after, old));
  json::array serials;
  for (const RevokedCertificate& certificate : revoked) {
    serials.emplace_back(certificate.serial);
  }
  if (!serials.empty()) {
    object["reason"] = name_of(revoked.front().revocation.reason);
  }
  tell_list(object, "certificatesRevoked", std::move(serials));
  return json::serialize(object);
}

std::string device_event(std::string_view action, const Device& device) {
  json::object object;
  object["action"] = action;
  object["state"] = name_of(device.state);
  object["revision"] = device.revision;
  return json::serialize(object);
}

std::string certificate_event(std::string_view action, std::string_view serial,
                              std::string_view reason) {
  json::object object;
  object["action"] = action;
  object["serial"] = serial;
  if (!reason.empty()) {
    object["reason"] = reason;
  }
  return json::serialize(object);
}

}  // namespace skerry::auth
