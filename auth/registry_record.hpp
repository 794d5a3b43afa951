// How devices and revoked serials lie in Family::registry.
//
//   "d/" id     → version (1) state (1) created (8) changed (8) revision (8) key count (2)
//                 keys: fingerprint (text) added (8) certificate count (2)
//                       certificates: serial (text) not after (8)
//   "r/" serial → version (1) not after (8) revoked (8) device id (text)
//
// Numbers are big-endian, times epoch milliseconds, texts are preceded by their length (2).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "auth/registry.hpp"

namespace skerry::auth {

std::string device_record_key(std::string_view id);
std::string revocation_record_key(std::string_view serial);

/// The id or serial of a key; nullopt for keys of the other kind.
std::optional<std::string_view> device_of_record_key(std::string_view key);
std::optional<std::string_view> serial_of_record_key(std::string_view key);

std::string encode_device(const Device& device);
/// nullopt for a record that is damaged or of a newer version.
std::optional<Device> decode_device(std::string_view id, std::string_view record);

struct Revocation {
  WallTime not_after{};
  WallTime revoked{};
  std::string device;
};

std::string encode_revocation(const Revocation& revocation);
std::optional<Revocation> decode_revocation(std::string_view record);

}  // namespace skerry::auth
