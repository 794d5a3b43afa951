#include "auth/registry_record.hpp"

#include <cstdint>

#include "base/limits.hpp"

namespace skerry::auth {

namespace {

constexpr std::uint8_t record_version = 1;
constexpr std::string_view device_prefix = "d/";
constexpr std::string_view revocation_prefix = "r/";

void put_number(std::string& out, std::uint64_t value, unsigned bytes) {
  for (unsigned index = bytes; index > 0; --index) {
    out.push_back(static_cast<char>((value >> (8 * (index - 1))) & 0xFF));
  }
}

void put_time(std::string& out, WallTime time) {
  put_number(out, static_cast<std::uint64_t>(epoch_milliseconds(time)), 8);
}

void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size(), 2);
  out.append(text);
}

/// Reads a record front to back; once something is missing, everything is zero and good() false.
class RecordReader {
 public:
  explicit RecordReader(std::string_view record) : rest_(record) {}

  std::uint64_t number(unsigned bytes) {
    const std::string_view part = take(bytes);
    std::uint64_t value = 0;
    for (const char byte : part) {
      value = (value << 8) | static_cast<unsigned char>(byte);
    }
    return value;
  }

  WallTime time() { return wall_from_epoch(static_cast<std::int64_t>(number(8))); }
  std::string text() { return std::string{take(static_cast<std::size_t>(number(2)))}; }

  bool good() const noexcept { return good_; }
  bool finished() const noexcept { return good_ && rest_.empty(); }

 private:
  std::string_view take(std::size_t bytes) {
    if (!good_ || rest_.size() < bytes) {
      good_ = false;
      return {};
    }
    const std::string_view part = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return part;
  }

  std::string_view rest_;
  bool good_ = true;
};

std::optional<DeviceKey> read_key(RecordReader& reader) {
  DeviceKey key;
  key.fingerprint = reader.text();
  key.added = reader.time();
  const std::uint64_t certificates = reader.number(2);
  if (!is_valid_fingerprint(key.fingerprint) || certificates > certificates_per_key_max) {
    return std::nullopt;
  }
  for (std::uint64_t index = 0; index < certificates; ++index) {
    DeviceCertificate certificate;
    certificate.serial = reader.text();
    certificate.not_after = reader.time();
    key.certificates.push_back(std::move(certificate));
  }
  return key;
}

bool is_known_state(std::uint64_t state) noexcept {
  return state >= 1 && state <= 5;
}

}  // namespace

std::string device_record_key(std::string_view id) {
  return std::string{device_prefix}.append(id);
}

std::string revocation_record_key(std::string_view serial) {
  return std::string{revocation_prefix}.append(serial);
}

std::optional<std::string_view> device_of_record_key(std::string_view key) {
  return key.starts_with(device_prefix) ? std::optional{key.substr(device_prefix.size())}
                                        : std::nullopt;
}

std::optional<std::string_view> serial_of_record_key(std::string_view key) {
  return key.starts_with(revocation_prefix) ? std::optional{key.substr(revocation_prefix.size())}
                                            : std::nullopt;
}

std::string encode_device(const Device& device) {
  std::string record;
  put_number(record, record_version, 1);
  put_number(record, static_cast<std::uint8_t>(device.state), 1);
  put_time(record, device.created);
  put_time(record, device.changed);
  put_number(record, device.revision, 8);
  put_number(record, device.keys.size(), 2);
  for (const DeviceKey& key : device.keys) {
    put_text(record, key.fingerprint);
    put_time(record, key.added);
    put_number(record, key.certificates.size(), 2);
    for (const DeviceCertificate& certificate : key.certificates) {
      put_text(record, certificate.serial);
      put_time(record, certificate.not_after);
    }
  }
  return record;
}

std::optional<Device> decode_device(std::string_view id, std::string_view record) {
  RecordReader reader{record};
  if (!is_valid_device_id(id) || reader.number(1) != record_version) {
    return std::nullopt;
  }
  const std::uint64_t state = reader.number(1);
  Device device;
  device.id = id;
  device.created = reader.time();
  device.changed = reader.time();
  device.revision = reader.number(8);
  const std::uint64_t keys = reader.number(2);
  if (!is_known_state(state) || keys > keys_per_device_max) {
    return std::nullopt;
  }
  device.state = static_cast<DeviceState>(state);
  for (std::uint64_t index = 0; index < keys; ++index) {
    std::optional<DeviceKey> key = read_key(reader);
    if (!key) {
      return std::nullopt;
    }
    device.keys.push_back(std::move(*key));
  }
  return reader.finished() ? std::optional{std::move(device)} : std::nullopt;
}

std::string encode_revocation(const Revocation& revocation) {
  std::string record;
  put_number(record, record_version, 1);
  put_time(record, revocation.not_after);
  put_time(record, revocation.revoked);
  put_text(record, revocation.device);
  return record;
}

std::optional<Revocation> decode_revocation(std::string_view record) {
  RecordReader reader{record};
  if (reader.number(1) != record_version) {
    return std::nullopt;
  }
  Revocation revocation;
  revocation.not_after = reader.time();
  revocation.revoked = reader.time();
  revocation.device = reader.text();
  return reader.finished() ? std::optional{std::move(revocation)} : std::nullopt;
}

}  // namespace skerry::auth
