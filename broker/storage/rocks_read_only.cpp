// The engine's read-only form. Checksums of blocks are verified, nothing is kept in a cache, and
// the engine's own log file is replaced so that it leaves no trace in the directory.
#include <rocksdb/db.h>

#include <charconv>
#include <map>
#include <vector>

#include "storage/kv_store.hpp"
#include "storage/read_only_store.hpp"
#include "storage/rocks_engine.hpp"
#include "storage/rocks_log.hpp"

namespace skerry::storage {

namespace {

constexpr std::size_t readahead_bytes = 1024 * 1024;
constexpr int open_files_max = 256;

std::optional<Family> family_named(std::string_view name) {
  for (std::uint8_t index = 0; index < family_count; ++index) {
    if (name == name_of(static_cast<Family>(index))) {
      return static_cast<Family>(index);
    }
  }
  return std::nullopt;
}

class RocksReadOnlyStore final : public ReadOnlyStore {
 public:
  ~RocksReadOnlyStore() override {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) {
      database_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
  }

  Status open(const std::string& directory);
  std::uint64_t sequence() const override { return database_->GetLatestSequenceNumber(); }
  std::uint32_t format_version() const override { return format_version_; }
  Status for_each(Family family, const Visit& visit) const override;

 private:
  Status read_format(const std::string& directory);

  std::unique_ptr<rocksdb::DB> database_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  std::map<Family, rocksdb::ColumnFamilyHandle*> families_;
  std::uint32_t format_version_ = 0;
};

Status RocksReadOnlyStore::open(const std::string& directory) {
  const std::string what = "cannot read the store in " + directory;
  rocksdb::DBOptions options;
  options.info_log = make_engine_logger([](std::string_view) {});
  options.max_open_files = open_files_max;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  std::vector<std::string> names;
  const auto listed = rocksdb::DB::ListColumnFamilies(options, directory, &names);
  if (!listed.ok()) {
    return status_from(listed, what);
  }
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : names) {
    if (name != rocksdb::kDefaultColumnFamilyName && !family_named(name)) {
      return {StatusCode::unsupported, "the store in " + directory +
                                           " was written by a newer version: it has a family '" +
                                           name + "' that this program does not know"};
    }
    descriptors.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  rocksdb::DB* opened = nullptr;
  const auto status =
      rocksdb::DB::OpenForReadOnly(options, directory, descriptors, &handles_, &opened);
  if (!status.ok()) {
    return status_from(status, what);
  }
  database_.reset(opened);
  for (std::size_t index = 0; index < names.size(); ++index) {
    if (const auto family = family_named(names[index])) {
      families_[*family] = handles_[index];
    }
  }
  return read_format(directory);
}

Status RocksReadOnlyStore::read_format(const std::string& directory) {
  const auto meta = families_.find(Family::meta);
  if (meta == families_.end()) {
    return {StatusCode::corruption, "the store in " + directory + " has no format version"};
  }
  std::string text;
  const rocksdb::Slice key(format_version_key.data(), format_version_key.size());
  const rocksdb::Status read = database_->Get({}, meta->second, key, &text);
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), format_version_);
  if (!read.ok() || error != std::errc{} || end != text.data() + text.size()) {
    return {StatusCode::corruption,
            "the store in " + directory + " has no readable format version"};
  }
  if (format_version_ > storage::format_version) {
    return {StatusCode::unsupported, "the store in " + directory + " has format version " +
                                         std::to_string(format_version_) +
                                         ", but this program reads versions up to " +
                                         std::to_string(storage::format_version)};
  }
  return {};
}

Status RocksReadOnlyStore::for_each(Family family, const Visit& visit) const {
  const auto found = families_.find(family);
  if (found == families_.end()) {
    return {};
  }
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = readahead_bytes;
  const std::unique_ptr<rocksdb::Iterator> at(database_->NewIterator(options, found->second));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    const rocksdb::Slice key = at->key();
    const rocksdb::Slice value = at->value();
    if (!visit({key.data(), key.size()}, {value.data(), value.size()})) {
      return {};
    }
  }
  return status_from(at->status(), "reading the family " + std::string(name_of(family)));
}

}  // namespace

OpenedReadOnlyStore open_read_only_store(const std::string& directory) {
  auto store = std::make_unique<RocksReadOnlyStore>();
  Status status = store->open(directory);
  if (!status.ok()) {
    return {std::move(status), nullptr};
  }
  return {{}, std::move(store)};
}

}  // namespace skerry::storage
