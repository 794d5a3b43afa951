// Copies what can be read of a damaged store, family by family. A walk ends where a block or a
// table is missing; from there on the middle of what is left is tried, again and again, so that one
// bad block costs what stood in it and not the rest of its family.
#include <rocksdb/db.h>
#include <rocksdb/sst_file_writer.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <system_error>

#include "storage/rocks_engine.hpp"
#include "storage/rocks_tuning.hpp"
#include "storage/salvage.hpp"

namespace skerry::storage {

namespace {

namespace fs = std::filesystem;

/// Halvings of a gap: it narrows down to some 4,000th part, by at most some 8,000 seeks.
constexpr int halvings_max = 12;
constexpr std::size_t batch_bytes_max = 1024 * 1024;

/// Eight bytes behind what two keys have in common, as a number.
std::uint64_t number_at(std::string_view key, std::size_t from) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    const std::size_t at = from + i;
    value = (value << 8) | (at < key.size() ? static_cast<unsigned char>(key[at]) : 0u);
  }
  return value;
}

/// A key about halfway between the two; empty when there is none that this can find.
std::string middle(std::string_view low, std::string_view high) {
  std::size_t common = 0;
  while (common < low.size() && common < high.size() && low[common] == high[common]) {
    ++common;
  }
  const std::uint64_t from = number_at(low, common);
  const std::uint64_t to = number_at(high, common);
  if (to <= from || to - from < 2) {
    return {};
  }
  const std::uint64_t half = from + (to - from) / 2;
  std::string key(low.substr(0, common));
  for (int shift = 56; shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>(half >> shift));
  }
  return key;
}

std::string shown(std::string_view key) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : key.substr(0, 24)) {
    const auto value = static_cast<unsigned char>(byte);
    if (value > 0x20 && value < 0x7f && byte != '%') {
      text.push_back(byte);
    } else {
      text.push_back('%');
      text.push_back(digits[value >> 4]);
      text.push_back(digits[value & 15]);
    }
  }
  return key.size() > 24 ? text + "…" : text;
}

class FamilyCopy {
 public:
  FamilyCopy(rocksdb::DB& from, rocksdb::ColumnFamilyHandle* handle, Family family, KvStore& to)
      : from_(from), handle_(handle), family_(family), to_(to) {
    options_.fill_cache = false;
    options_.total_order_seek = true;
  }

  Status run(SalvageReport& report);
  /// After run(): something is there, and nothing of it could be read.
  bool is_unreadable() const noexcept { return saved_ == 0 && gaps_ > 0; }

 private:
  std::unique_ptr<rocksdb::Iterator> iterator() const {
    return std::unique_ptr<rocksdb::Iterator>(from_.NewIterator(options_, handle_));
  }
  void take(const rocksdb::Iterator& at);
  bool forward(rocksdb::Iterator& at, const std::string* end);
  void backward(const std::string& from, std::string& low);
  void fill_gaps(std::string low, const std::string& high);
  bool island(rocksdb::Iterator& at, std::string& low, const std::string& high, int halvings);
  void fill_gap(std::string low, const std::string& high, int halvings);
  void lose(const std::string& low, const std::string& high);
  void flush();

  rocksdb::DB& from_;
  rocksdb::ColumnFamilyHandle* const handle_;
  const Family family_;
  KvStore& to_;
  rocksdb::ReadOptions options_;
  Batch batch_;
  Status status_;     ///< of writing
  std::string last_;  ///< key that forward() took last
  std::uint64_t saved_ = 0;
  std::uint64_t gaps_ = 0;
  std::string first_gap_;
  std::string gap_end_;
};

void FamilyCopy::flush() {
  if (!batch_.empty() && status_.ok()) {
    status_ = to_.write(batch_, false);
  }
  batch_.clear();
}

void FamilyCopy::take(const rocksdb::Iterator& at) {
  const rocksdb::Slice key = at.key();
  const rocksdb::Slice value = at.value();
  const std::string_view name(key.data(), key.size());
  if (family_ == Family::meta && name == format_version_key) {
    return;  // the new store has its own
  }
  batch_.put(family_, name, {value.data(), value.size()});
  ++saved_;
  if (batch_.size_bytes() > batch_bytes_max) {
    flush();
  }
}

/// True at the end of the family or at `end`; false where it cannot be read on.
bool FamilyCopy::forward(rocksdb::Iterator& at, const std::string* end) {
  for (; at.Valid(); at.Next()) {
    if (end != nullptr && at.key().compare(*end) >= 0) {
      return true;
    }
    last_ = at.key().ToString();
    take(at);
  }
  return at.status().ok();
}

/// Takes what is readable below `from` and above `low`, which then is the last key that was not.
void FamilyCopy::backward(const std::string& from, std::string& low) {
  const auto at = iterator();
  std::string lowest = from;
  at->SeekForPrev(from);
  if (at->Valid() && at->key().compare(from) == 0) {
    at->Prev();
  }
  for (; at->Valid() && at->key().compare(low) > 0; at->Prev()) {
    lowest = at->key().ToString();
    take(*at);
  }
  low = std::move(lowest);
}

void FamilyCopy::lose(const std::string& low, const std::string& high) {
  if (gaps_++ == 0) {
    first_gap_ = low;
  }
  gap_end_ = high;
}

/// `low` has been taken and the next key cannot be read; `high` can, or is the end of all keys.
void FamilyCopy::fill_gap(std::string low, const std::string& high, int halvings) {
  const std::string probe = halvings > 0 ? middle(low, high) : std::string();
  if (probe.empty() || !status_.ok()) {
    return lose(low, high);
  }
  const auto at = iterator();
  at->Seek(probe);
  if (!at->Valid() && !at->status().ok()) {  // within the damage: on both sides of it
    fill_gap(low, probe, halvings - 1);
    return fill_gap(probe, high, halvings - 1);
  }
  if (!at->Valid() || at->key().compare(high) >= 0) {  // nothing between the two
    return fill_gap(low, probe, halvings - 1);
  }
  if (!island(*at, low, high, halvings - 1)) {
    fill_gap(low, high, halvings - 1);
  }
}

/// Takes what is readable around `at` and looks into the gap below it. False: `low` is now the last
/// key that was taken, and what follows cannot be read; true: all up to `high` was taken.
bool FamilyCopy::island(rocksdb::Iterator& at, std::string& low, const std::string& high,
                        int halvings) {
  const std::string middle_key = at.key().ToString();
  std::string below = low;
  const bool whole = forward(at, &high);
  const std::string end = last_;
  backward(middle_key, below);
  fill_gap(low, below, halvings);
  low = end;
  return whole;
}

/// Where tables begin and end is where it may go on when one of them is missing.
void FamilyCopy::fill_gaps(std::string low, const std::string& high) {
  std::set<std::string> edges;
  rocksdb::ColumnFamilyMetaData tables;
  from_.GetColumnFamilyMetaData(handle_, &tables);
  for (const rocksdb::LevelMetaData& level : tables.levels) {
    for (const rocksdb::SstFileMetaData& table : level.files) {
      edges.insert(table.smallestkey);
      edges.insert(table.largestkey + '\0');
    }
  }
  for (const std::string& edge : edges) {
    if (edge <= low || edge >= high) {
      continue;
    }
    const auto at = iterator();
    at->Seek(edge);
    const bool found = at->Valid() && at->key().compare(high) < 0;
    if (found && island(*at, low, high, halvings_max)) {
      return;
    }
    if (!found && at->status().ok()) {
      break;  // nothing above this edge
    }
  }
  fill_gap(low, high, halvings_max);
}

Status FamilyCopy::run(SalvageReport& report) {
  const auto at = iterator();
  at->SeekToFirst();
  if (!forward(*at, nullptr)) {
    const std::string low = last_;
    // The other end, then the middle.
    const auto back = iterator();
    back->SeekToLast();
    std::string high(16, '\xff');
    if (back->Valid()) {
      high = back->key().ToString();
      for (; back->Valid() && back->key().compare(low) > 0; back->Prev()) {
        high = back->key().ToString();
        take(*back);
      }
    }
    fill_gaps(low, high);
  }
  flush();
  if (gaps_ > 0 && saved_ > 0) {
    report.findings.push_back("of the family " + std::string(name_of(family_)) + " " +
                              std::to_string(saved_) + " records were saved; between " +
                              shown(first_gap_) + " and " + shown(gap_end_) +
                              " there are records that could not be read");
  }
  if (gaps_ > 0 && (family_ == Family::registry || family_ == Family::admin)) {
    report.identity_in_doubt = true;
  }
  return status_;
}

/// The damaged store, open for reading.
class Source {
 public:
  Status open(const std::string& directory, const RocksOptions& options);
  ~Source();

  rocksdb::DB& database() { return *database_; }
  rocksdb::ColumnFamilyHandle* handle(Family family) const;
  void note_missing(const std::string& directory, SalvageReport& report);

 private:
  std::unique_ptr<rocksdb::DB> database_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

Status Source::open(const std::string& directory, const RocksOptions& options) {
  rocksdb::DBOptions settings = engine_options(options);
  settings.create_if_missing = false;
  settings.create_missing_column_families = false;
  settings.paranoid_checks = false;  // it opens with what there is
  settings.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
  std::vector<std::string> names;
  const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(settings, directory, &names);
  if (!listed.ok()) {
    return status_from(listed, "its families cannot be listed");
  }
  const SharedParts shared{rocksdb::NewLRUCache(options.block_cache_bytes, 2),
                           std::make_shared<RetentionSlot>()};
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  descriptors.reserve(names.size());
  for (const std::string& name : names) {
    descriptors.emplace_back(name, family_options(Family::meta, options, shared));
  }
  rocksdb::DB* opened = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(settings, directory, descriptors, &handles_, &opened);
  database_.reset(opened);
  return status_from(status, "it cannot be opened for reading");
}

Source::~Source() {
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    database_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
}

rocksdb::ColumnFamilyHandle* Source::handle(Family family) const {
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    if (handle->GetName() == name_of(family)) {
      return handle;
    }
  }
  return nullptr;
}

void Source::note_missing(const std::string& directory, SalvageReport& report) {
  std::vector<rocksdb::LiveFileMetaData> files;
  database_->GetLiveFilesMetaData(&files);
  for (const rocksdb::LiveFileMetaData& file : files) {
    const std::string name = fs::path(file.name).filename().string();
    std::error_code error;
    if (!fs::exists(fs::path(directory) / name, error)) {
      report.files.push_back(name);
      report.findings.push_back("the table " + name + " of the family " + file.column_family_name +
                                " is missing, with " + std::to_string(file.num_entries) +
                                " entries");
    }
  }
}

/// The engine's repair learns which families there are from the tables that it finds, and drops
/// what the log has of others. So each gets a table with one tombstone, of a key that nobody uses.
/// The numbers of families are those of any store: they are made in their order, and new ones come
/// last.
Status write_family_tables(const fs::path& links, std::uint64_t number,
                           const RocksOptions& options) {
  RocksOptions fresh = options;
  fresh.directory = links.string() + "-families";
  std::error_code error;
  fs::remove_all(fresh.directory, error);
  Status status;
  {
    OpenedEngine opened = Engine::open(fresh, std::make_shared<RetentionSlot>());
    status = opened.status;
    for (std::uint8_t index = 0; index < family_count && status.ok(); ++index) {
      rocksdb::ColumnFamilyHandle* const handle = opened.engine->handle(static_cast<Family>(index));
      rocksdb::SstFileWriter writer(rocksdb::EnvOptions(),
                                    opened.engine->database().GetOptions(handle), handle);
      char name[32];
      std::snprintf(name, sizeof name, "%06llu.sst",
                    static_cast<unsigned long long>(number + index));
      rocksdb::Status written = writer.Open((links / name).string());
      if (written.ok()) {
        written = writer.Delete(std::string(64, '\xff'));
      }
      if (written.ok()) {
        written = writer.Finish();
      }
      status = status_from(written, "a table for the engine's repair");
    }
  }
  fs::remove_all(fresh.directory, error);
  return status;
}

/// The engine's repair works on links, so that the old store stays as it was found.
Status repair_links(const std::string& from, const fs::path& links, const RocksOptions& options) {
  std::error_code error;
  std::uint64_t number = 0;
  fs::remove_all(links, error);
  fs::create_directories(links, error);
  for (fs::directory_iterator at(from, error), end; !error && at != end; at.increment(error)) {
    const fs::path extension = at->path().extension();
    std::error_code failed;
    if (extension == ".sst" || extension == ".log") {
      fs::create_hard_link(at->path(), links / at->path().filename(), failed);
      number =
          std::max<std::uint64_t>(number, std::strtoull(at->path().stem().c_str(), nullptr, 10));
    }
    if (failed) {
      return {StatusCode::io_error, "no link to " + at->path().string() + " could be made"};
    }
  }
  if (Status status = write_family_tables(links, number + 1, options); !status.ok()) {
    return status;
  }
  const SharedParts shared{rocksdb::NewLRUCache(options.block_cache_bytes, 2),
                           std::make_shared<RetentionSlot>()};
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (std::uint8_t index = 0; index < family_count; ++index) {
    const auto family = static_cast<Family>(index);
    descriptors.emplace_back(std::string(name_of(family)), family_options(family, options, shared));
  }
  const auto other = family_options(Family::meta, options, shared);
  descriptors.emplace_back(rocksdb::kDefaultColumnFamilyName, other);
  return status_from(rocksdb::RepairDB(links.string(), engine_options(options), descriptors, other),
                     "the engine's repair failed");
}

/// Who may do what: rather nothing than something older than what was lost.
bool is_identity(Family family) noexcept {
  return family == Family::registry || family == Family::admin;
}

/// Copies `families`; those of which nothing can be read are given back.
Status copy_families(Source& source, const std::set<Family>& families, KvStore& target,
                     SalvageReport& report, std::set<Family>& unreadable) {
  for (const Family family : families) {
    rocksdb::ColumnFamilyHandle* const handle = source.handle(family);
    if (handle == nullptr) {
      continue;
    }
    FamilyCopy copy(source.database(), handle, family, target);
    if (Status status = copy.run(report); !status.ok()) {
      return status;
    }
    if (copy.is_unreadable()) {
      unreadable.insert(family);
    }
  }
  return {};
}

/// By the engine's repair, which takes every table for good that it finds.
Status copy_repaired(const SalvageOptions& options, const std::set<Family>& families,
                     KvStore& target, SalvageReport& report) {
  const fs::path links = options.store.directory + ".repairing";
  Status status = repair_links(options.store.directory, links, options.store);
  if (status.ok()) {
    Source source;
    status = source.open(links.string(), options.store);
    std::set<Family> unreadable;
    if (status.ok()) {
      status = copy_families(source, families, target, report, unreadable);
    }
  }
  std::error_code error;
  fs::remove_all(links, error);
  return status;
}

}  // namespace

Status copy_readable(const SalvageOptions& options, bool repair, const std::string& to,
                     SalvageReport& report) {
  std::set<Family> families;
  for (std::uint8_t index = 0; index < family_count; ++index) {
    families.insert(static_cast<Family>(index));
  }
  RocksOptions fresh = options.store;
  fresh.directory = to;
  if (repair) {
    const OpenedStore target = open_rocks_store(fresh);
    Status status = target.status;
    if (status.ok()) {
      status = copy_repaired(options, families, *target.store, report);
    }
    return status.ok() ? target.store->sync() : status;
  }
  std::set<Family> unreadable;
  Status status;
  OpenedStore target;
  {
    Source source;
    status = source.open(options.store.directory, options.store);
    if (!status.ok()) {
      return status;
    }
    source.note_missing(options.store.directory, report);
    target = open_rocks_store(fresh);
    if (!target.status.ok()) {
      return target.status;
    }
    status = copy_families(source, families, *target.store, report, unreadable);
  }
  for (auto at = unreadable.begin(); at != unreadable.end();) {
    const bool strict = is_identity(*at);
    report.findings.push_back(
        "the family " + std::string(name_of(*at)) + " could not be read at all; " +
        (strict ? "it is empty now: devices, services and accounts that are not registered anew "
                  "are refused"
                : "what its tables hold was taken, older versions of lost records among it"));
    at = strict ? unreadable.erase(at) : std::next(at);
  }
  if (status.ok() && !unreadable.empty()) {
    status = copy_repaired(options, unreadable, *target.store, report);
  }
  return status.ok() ? target.store->sync() : status;
}

}  // namespace skerry::storage
