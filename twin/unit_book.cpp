#include "twin/unit_book.hpp"

#include "base/assert.hpp"

namespace skerry::twin {
namespace {

using storage::Family;

constexpr char record_version = 1;
constexpr std::size_t remembered_count = 4096;
constexpr std::int64_t rewrite_milliseconds = 3600 * 1000;

std::string key_of(std::string_view device, std::string_view key) {
  std::string out;
  out.append("u").push_back('\0');
  out.append(device).push_back('\0');
  return out.append(key);
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t more) noexcept {
  hash = (hash ^ more) * 0x9e37'79b9'7f4a'7c15ULL;
  return hash ^ hash >> 32;
}

}  // namespace

void UnitWriter::write(std::string_view device, std::span<const Sample> samples,
                       std::span<const std::string_view> units, WallTime now,
                       storage::Batch& batch) {
  if (units.empty()) {
    return;
  }
  SKERRY_ASSERT(units.size() == samples.size());
  written_.resize(remembered_count);
  constexpr std::hash<std::string_view> hash;
  const auto hour = static_cast<std::uint64_t>(epoch_milliseconds(now) / rewrite_milliseconds);
  const std::uint64_t start = mixed(hash(device), hour);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (units[i].empty()) {
      continue;
    }
    // 0 is an empty place.
    const std::uint64_t mark = mixed(mixed(start, hash(samples[i].key)), hash(units[i])) | 1U;
    std::uint64_t& place = written_[mark >> 52];
    if (place != mark) {
      place = mark;
      std::string value(1, record_version);
      batch.put(Family::documents, key_of(device, samples[i].key), value.append(units[i]));
    }
  }
}

Result<std::string, storage::Status> UnitBook::unit_of(std::string_view device,
                                                       std::string_view key) const {
  std::string value;
  const storage::Status status = store_.get(Family::documents, key_of(device, key), value);
  if (status.code == storage::StatusCode::not_found || (status.ok() && value.empty())) {
    return std::string{};
  }
  if (!status.ok()) {
    return status;
  }
  // A newer program's record is not guessed at.
  return value.front() == record_version ? value.substr(1) : std::string{};
}

void UnitBook::erase(std::string_view device, std::string_view key, storage::Batch& batch) {
  const std::string from = key_of(device, key);
  if (key.empty()) {
    batch.erase_range(Family::documents, from, storage::prefix_end(from));
  } else {
    batch.erase(Family::documents, from);
  }
}

}  // namespace skerry::twin
