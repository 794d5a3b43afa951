// How devices and revoked serials lie in Family::registry.
//
//   "d/" id     → version (1) state (1) created (8) changed (8) revision (8) key count (2)
//                 keys: fingerprint (text) added (8) not after (time?) certificate count (2)
//                       certificates: serial (text) not after (8) issued (8)
//                 name (text) model (text) serial number (text) not after (time?)
//                 tag count (2) tags (text each) attribute count (2) name, value (text each)
//                 request? (1): subject (text) key type (text) address (text) time (8)
//   "r/" serial → version (1) not after (8) revoked (8) device id (text) reason (1)
//   "x/" key    → version (1) time (8); a key that a human has rejected, by its fingerprint
//
// Numbers are big-endian, times epoch milliseconds, texts are preceded by their length (2); time?
// is one byte, 1 when a time (8) follows. Version 2; version 1 of "d/" ended behind the keys and
// had no issued and no time? in them, of "r/" had no reason. Both are read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "auth/device.hpp"

namespace skerry::auth {

std::string device_record_key(std::string_view id);
std::string revocation_record_key(std::string_view serial);
std::string rejection_record_key(std::string_view fingerprint);

/// The id, serial or fingerprint of a key; nullopt for keys of another kind.
std::optional<std::string_view> device_of_record_key(std::string_view key);
std::optional<std::string_view> serial_of_record_key(std::string_view key);
std::optional<std::string_view> fingerprint_of_record_key(std::string_view key);

std::string encode_device(const Device& device);
/// nullopt for a record that is damaged or of a newer version.
std::optional<Device> decode_device(std::string_view id, std::string_view record);

std::string encode_revocation(const Revocation& revocation);
std::optional<Revocation> decode_revocation(std::string_view record);

std::string encode_rejection(WallTime time);
std::optional<WallTime> decode_rejection(std::string_view record);

}  // namespace skerry::auth
