#include "auth/registry_record.hpp"

#include <cstdint>

#include "base/limits.hpp"

namespace skerry::auth {

namespace {

constexpr std::uint8_t record_version = 2;
constexpr std::string_view device_prefix = "d/";
constexpr std::string_view revocation_prefix = "r/";
constexpr std::string_view rejection_prefix = "x/";

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

void put_time_or_none(std::string& out, const std::optional<WallTime>& time) {
  put_number(out, time ? 1 : 0, 1);
  if (time) {
    put_time(out, *time);
  }
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

  std::optional<WallTime> time_or_none() { return flag() ? std::optional{time()} : std::nullopt; }
  /// One byte that is 0 or 1; anything else is damage.
  bool flag() {
    const std::uint64_t value = number(1);
    good_ = good_ && value <= 1;
    return value == 1;
  }

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

bool is_known_version(std::uint64_t version) noexcept {
  return version >= 1 && version <= record_version;
}

std::optional<DeviceKey> read_key(RecordReader& reader, std::uint64_t version) {
  DeviceKey key;
  key.fingerprint = reader.text();
  key.added = reader.time();
  if (version > 1) {
    key.not_after = reader.time_or_none();
  }
  const std::uint64_t certificates = reader.number(2);
  if (!is_valid_fingerprint(key.fingerprint) || certificates > certificates_per_key_max) {
    return std::nullopt;
  }
  key.certificates.reserve(certificates);
  for (std::uint64_t index = 0; index < certificates; ++index) {
    DeviceCertificate certificate;
    certificate.serial = reader.text();
    certificate.not_after = reader.time();
    if (version > 1) {
      certificate.issued = reader.time();
    }
    key.certificates.push_back(std::move(certificate));
  }
  return key;
}

/// What version 2 has added behind the keys. False: more than the caps allow.
bool read_details(RecordReader& reader, Device& device) {
  device.name = reader.text();
  device.model = reader.text();
  device.serial_number = reader.text();
  device.not_after = reader.time_or_none();
  const std::uint64_t tags = reader.number(2);
  if (tags > tags_per_device_max) {
    return false;
  }
  device.tags.reserve(tags);
  for (std::uint64_t index = 0; index < tags; ++index) {
    device.tags.push_back(reader.text());
  }
  const std::uint64_t attributes = reader.number(2);
  if (attributes > attributes_per_device_max) {
    return false;
  }
  for (std::uint64_t index = 0; index < attributes; ++index) {
    std::string name = reader.text();
    device.attributes.insert_or_assign(std::move(name), reader.text());
  }
  if (reader.flag()) {
    EnrolmentRequest request;
    request.subject = reader.text();
    request.key_type = reader.text();
    request.address = reader.text();
    request.time = reader.time();
    device.request = std::make_shared<const EnrolmentRequest>(std::move(request));
  }
  return true;
}

void put_details(std::string& record, const Device& device) {
  put_text(record, device.name);
  put_text(record, device.model);
  put_text(record, device.serial_number);
  put_time_or_none(record, device.not_after);
  put_number(record, device.tags.size(), 2);
  for (const std::string& tag : device.tags) {
    put_text(record, tag);
  }
  put_number(record, device.attributes.size(), 2);
  for (const auto& [name, value] : device.attributes) {
    put_text(record, name);
    put_text(record, value);
  }
  put_number(record, device.request ? 1 : 0, 1);
  if (device.request) {
    put_text(record, device.request->subject);
    put_text(record, device.request->key_type);
    put_text(record, device.request->address);
    put_time(record, device.request->time);
  }
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

std::string rejection_record_key(std::string_view fingerprint) {
  return std::string{rejection_prefix}.append(fingerprint);
}

std::optional<std::string_view> device_of_record_key(std::string_view key) {
  return key.starts_with(device_prefix) ? std::optional{key.substr(device_prefix.size())}
                                        : std::nullopt;
}

std::optional<std::string_view> serial_of_record_key(std::string_view key) {
  return key.starts_with(revocation_prefix) ? std::optional{key.substr(revocation_prefix.size())}
                                            : std::nullopt;
}

std::optional<std::string_view> fingerprint_of_record_key(std::string_view key) {
  return key.starts_with(rejection_prefix) ? std::optional{key.substr(rejection_prefix.size())}
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
    put_time_or_none(record, key.not_after);
    put_number(record, key.certificates.size(), 2);
    for (const DeviceCertificate& certificate : key.certificates) {
      put_text(record, certificate.serial);
      put_time(record, certificate.not_after);
      put_time(record, certificate.issued);
    }
  }
  put_details(record, device);
  return record;
}

std::optional<Device> decode_device(std::string_view id, std::string_view record) {
  RecordReader reader{record};
  const std::uint64_t version = reader.number(1);
  if (!is_valid_device_id(id) || !is_known_version(version)) {
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
    std::optional<DeviceKey> key = read_key(reader, version);
    if (!key) {
      return std::nullopt;
    }
    device.keys.push_back(std::move(*key));
  }
  if (version > 1 && !read_details(reader, device)) {
    return std::nullopt;
  }
  return reader.finished() ? std::optional{std::move(device)} : std::nullopt;
}

std::string encode_revocation(const Revocation& revocation) {
  std::string record;
  put_number(record, record_version, 1);
  put_time(record, revocation.not_after);
  put_time(record, revocation.revoked);
  put_text(record, revocation.device);
  put_number(record, static_cast<std::uint8_t>(revocation.reason), 1);
  return record;
}

std::optional<Revocation> decode_revocation(std::string_view record) {
  RecordReader reader{record};
  const std::uint64_t version = reader.number(1);
  if (!is_known_version(version)) {
    return std::nullopt;
  }
  Revocation revocation;
  revocation.not_after = reader.time();
  revocation.revoked = reader.time();
  revocation.device = reader.text();
  // In version 1 only erased devices left something behind.
  revocation.reason = version > 1 ? static_cast<RevocationReason>(reader.number(1))
                                  : RevocationReason::cessation_of_operation;
  if (name_of(revocation.reason) == "unknown") {
    return std::nullopt;
  }
  return reader.finished() ? std::optional{std::move(revocation)} : std::nullopt;
}

std::string encode_rejection(WallTime time) {
  std::string record;
  put_number(record, record_version, 1);
  put_time(record, time);
  return record;
}

std::optional<WallTime> decode_rejection(std::string_view record) {
  RecordReader reader{record};
  const bool is_known = is_known_version(reader.number(1));
  const WallTime time = reader.time();
  return is_known && reader.finished() ? std::optional{time} : std::nullopt;
}

}  // namespace skerry::auth
