#include "backup/content.hpp"

#include "base/byte_order.hpp"
#include "crypto/sha256.hpp"
#include "storage/kv_store.hpp"
#include "storage/read_only_store.hpp"

namespace skerry::backup {

namespace {

constexpr std::uint64_t records_between_stops = 4096;

Outcome outcome_of(const storage::Status& status) {
  switch (status.code) {
    case storage::StatusCode::ok:
      return {};
    case storage::StatusCode::unsupported:
      return {Code::newer, status.detail};
    case storage::StatusCode::full:
      return {Code::full, status.detail};
    case storage::StatusCode::not_found:
    case storage::StatusCode::corruption:
    case storage::StatusCode::io_error:
    case storage::StatusCode::closed:
      break;
  }
  return {Code::damaged, status.detail};
}

}  // namespace

Outcome read_content(const std::string& directory, Content& content, const Attention& attention) {
  const storage::OpenedReadOnlyStore opened = storage::open_read_only_store(directory);
  if (!opened.status.ok()) {
    return outcome_of(opened.status);
  }
  content = {opened.store->format_version(), opened.store->sequence(), {}};
  for (std::uint8_t index = 0; index < storage::family_count; ++index) {
    const auto family = static_cast<storage::Family>(index);
    FamilyEntry entry{std::string(storage::name_of(family))};
    crypto::Sha256 hash;
    std::string lengths;
    bool stopped = false;
    const auto status =
        opened.store->for_each(family, [&](std::string_view key, std::string_view value) {
          lengths.clear();
          append_big_endian(lengths, static_cast<std::uint32_t>(key.size()));
          append_big_endian(lengths, static_cast<std::uint32_t>(value.size()));
          hash.update(lengths);
          hash.update(key);
          hash.update(value);
          entry.bytes += key.size() + value.size();
          stopped = ++entry.records % records_between_stops == 0 && attention.stop();
          return !stopped;
        });
    if (!status.ok()) {
      return outcome_of(status);
    }
    if (stopped) {
      return {Code::stopped, "given up while reading " + directory};
    }
    entry.sha256 = hash.finish_hex();
    content.families.push_back(std::move(entry));
  }
  return {};
}

}  // namespace skerry::backup
