// Device: what the registry knows of one device, and the rules its parts follow. Values only; who
// may change what and when is the registry's business (registry.hpp has the diagram).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"

namespace skerry::auth {

/// `[A-Za-z0-9][A-Za-z0-9._~-]{0,63}`, but not `sub`, `pub` or `health`. Such an id is safe as a
/// topic level, in a URI, a file name and a log line.
bool is_valid_device_id(std::string_view id) noexcept;

/// 64 lower-case hexadecimal digits: SHA-256 of a SubjectPublicKeyInfo in DER.
bool is_valid_fingerprint(std::string_view fingerprint) noexcept;

/// The numbers are on disk: append, never reorder.
enum class DeviceState : std::uint8_t {
  preauthorised = 1,  ///< registered, no certificate yet
  enrolled = 2,       ///< has been given a certificate
  pending = 3,        ///< asked to come in, waits for a human
  suspended = 4,      ///< locked out for a time
  retired = 5,        ///< locked out for good
};

/// "preauthorised", "enrolled", … as in the REST resource.
std::string_view name_of(DeviceState state) noexcept;
/// The reverse; nullopt for any other text.
std::optional<DeviceState> state_of(std::string_view name) noexcept;

/// Why a certificate was revoked: CRLReason of RFC 5280 section 5.3.1, its numbers.
enum class RevocationReason : std::uint8_t {
  unspecified = 0,
  key_compromise = 1,
  affiliation_changed = 3,
  superseded = 4,
  cessation_of_operation = 5,
  privilege_withdrawn = 9,
};

/// "unspecified", "keyCompromise", … as RFC 5280 spells them.
std::string_view name_of(RevocationReason reason) noexcept;
std::optional<RevocationReason> revocation_reason_of(std::string_view name) noexcept;

struct DeviceCertificate {
  std::string serial;  ///< lower-case hex
  WallTime not_after{};
  WallTime issued{};  ///< epoch for what a version before this field has recorded
};

struct DeviceKey {
  std::string fingerprint;  ///< see is_valid_fingerprint()
  WallTime added{};
  /// Issued for this key and not expired when the last one was added, oldest first; at most
  /// certificates_per_key_max, older ones are superseded and refused.
  std::vector<DeviceCertificate> certificates;
  std::optional<WallTime> not_after = {};  ///< end of the overlap after a rotation; then refused
};

/// What a pending device has shown when it asked; never changes.
struct EnrolmentRequest {
  std::string subject;   ///< subject of its CSR, RFC 4514; cut to enrolment_text_bytes_max
  std::string key_type;  ///< "EC P-256", "RSA 2048", …
  std::string address;   ///< where it first came from, without the port
  WallTime time{};       ///< when it first asked
};

struct Device {
  std::string id;
  DeviceState state = DeviceState::preauthorised;
  WallTime created{};
  WallTime changed{};
  std::uint64_t revision = 1;  ///< grows with each change; the ETag is made of `created` and this
  std::vector<DeviceKey> keys;

  std::string name;               ///< for humans
  std::string model;              ///< what kind of device it is
  std::string serial_number;      ///< the maker's, not that of a certificate
  std::vector<std::string> tags;  ///< sorted, each once
  std::map<std::string, std::string, std::less<>> attributes;
  std::optional<WallTime> not_after;  ///< end of the right to enrol and to connect

  std::shared_ptr<const EnrolmentRequest> request;  ///< set while pending, null otherwise

  /// nullptr when the device has no such key.
  const DeviceKey* key(std::string_view fingerprint) const noexcept;
  DeviceKey* key(std::string_view fingerprint) noexcept;
  /// Has its right to enrol and to connect ended?
  bool is_expired(WallTime now) const noexcept { return not_after && *not_after <= now; }
};

/// A device as it was committed; never changes, any thread may keep it.
using DevicePointer = std::shared_ptr<const Device>;

/// A certificate that is refused although it has not expired: one line of the CRL.
struct Revocation {
  WallTime not_after{};
  WallTime revoked{};
  std::string device;
  RevocationReason reason = RevocationReason::unspecified;
};

struct RevokedCertificate {
  std::string serial;
  Revocation revocation;
};

}  // namespace skerry::auth
