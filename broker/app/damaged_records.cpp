#include "app/damaged_records.hpp"

#include <exception>
#include <utility>

#include "auth/secret_file.hpp"
#include "base/byte_order.hpp"
#include "crypto/hash.hpp"
#include "shard/records.hpp"

namespace skerry::app {

namespace {

/// Bytes of the file; what is above stays in the store and is reported at the next start.
constexpr std::size_t file_bytes_max = 64 * 1024 * 1024;

}  // namespace

DamagedRecords::DamagedRecords(std::string data_dir, storage::SalvageReport& report, WallTime now)
    : data_dir_(std::move(data_dir)), report_(report), now_(now) {}

void DamagedRecords::set_aside(storage::Family family, std::string_view key,
                               std::string_view value) {
  if (lines_.size() + 2 * (key.size() + value.size()) > file_bytes_max) {
    return;
  }
  ++report_.records;
  lines_.append("{\"family\":\"").append(storage::name_of(family));
  lines_.append("\",\"key\":\"").append(crypto::to_hex(key));
  lines_.append("\",\"value\":\"").append(crypto::to_hex(value)).append("\"}\n");
  erased_.erase(family, key);
  if (family == storage::Family::sessions && key.size() == sizeof(std::uint64_t)) {
    const std::string next = shard::durable_key(DurableId{read_big_endian<std::uint64_t>(key) + 1});
    erased_.erase_range(storage::Family::subscriptions, key, next);
    erased_.erase_range(storage::Family::inflight, key, next);
  }
}

std::string DamagedRecords::finish(storage::Committer& committer) {
  if (lines_.empty()) {
    return {};
  }
  if (report_.directory.empty()) {
    report_.directory = data_dir_ + "/quarantine/" + std::to_string(epoch_milliseconds(now_));
  }
  report_.findings.push_back(std::to_string(report_.records) + " records could not be read");
  try {
    auth::make_private_directory(data_dir_ + "/quarantine");
    auth::make_private_directory(report_.directory);
    auth::write_file(report_.directory + "/records.ndjson", lines_, auth::FileMode::secret);
  } catch (const std::exception& error) {
    return error.what();
  }
  const storage::Status status = committer.write_and_wait(std::move(erased_));
  return status.ok() ? std::string() : status.detail;
}

}  // namespace skerry::app
