// Opening the engine, with a sentence for everything that can stand in the way. Nothing here aborts
// on what it finds on disk.
#include "storage/rocks_engine.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "storage/rocks_tuning.hpp"

namespace skerry::storage {

namespace {

namespace fs = std::filesystem;

Status make_directory(const std::string& directory) {
  std::error_code error;
  if (fs::is_directory(directory, error)) {
    return {};
  }
  fs::create_directories(fs::path(directory).parent_path(), error);
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    const int code = errno;
    return {code == ENOSPC ? StatusCode::full : StatusCode::io_error,
            "cannot create the data directory " + directory + ": " +
                std::generic_category().message(code)};
  }
  // What the engine syncs in it is of no use when the directory itself is lost.
  const std::string parent = fs::absolute(directory).parent_path().string();
  const int descriptor = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int code = errno;
  if (descriptor >= 0) {
    ::close(descriptor);
  }
  return synced ? Status{}
                : Status{StatusCode::io_error, "cannot sync the directory " + parent + ": " +
                                                   std::generic_category().message(code)};
}

/// Without CURRENT the engine would start anew and delete the files it no longer knows of.
Status check_not_headless(const std::string& directory) {
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path extension = entry->path().extension();
    if (extension == ".sst" || extension == ".log") {
      return {StatusCode::corruption, "the data directory " + directory + " holds " +
                                          entry->path().filename().string() +
                                          " but its file CURRENT is missing"};
    }
  }
  return {};
}

Status check_families(const std::string& directory, const rocksdb::DBOptions& options) {
  std::vector<std::string> names;
  const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(options, directory, &names);
  if (!listed.ok()) {
    Status status = status_from(listed, "cannot read the list of families in " + directory);
    if (listed.IsPathNotFound()) {
      status.code = StatusCode::corruption;
    }
    return status;
  }
  for (const std::string& name : names) {
    bool known = name == rocksdb::kDefaultColumnFamilyName;
    for (std::uint8_t index = 0; index < family_count && !known; ++index) {
      known = name == name_of(static_cast<Family>(index));
    }
    if (!known) {
      return {StatusCode::unsupported, "the data directory " + directory +
                                           " was written by a newer version: it has a family '" +
                                           name + "' that this program does not know"};
    }
  }
  return {};
}

std::vector<rocksdb::ColumnFamilyDescriptor> descriptors(
    const RocksOptions& options, const std::shared_ptr<const RetentionSlot>& retention) {
  const SharedParts shared{rocksdb::NewLRUCache(options.block_cache_bytes, 2), retention};
  std::vector<rocksdb::ColumnFamilyDescriptor> result;
  result.emplace_back(rocksdb::kDefaultColumnFamilyName,
                      family_options(Family::meta, options, shared));
  for (std::uint8_t index = 0; index < family_count; ++index) {
    const auto family = static_cast<Family>(index);
    result.emplace_back(std::string(name_of(family)), family_options(family, options, shared));
  }
  return result;
}

Status open_failure(const rocksdb::Status& status, const std::string& directory) {
  const std::string text = status.ToString();
  if (text.find("lock hold by current process") != std::string::npos) {
    return {StatusCode::io_error,
            "the data directory " + directory + " is already open in this process"};
  }
  if (text.find("While lock file") != std::string::npos) {
    return {StatusCode::io_error, "the data directory " + directory +
                                      " is in use by another process, which holds its lock file"};
  }
  Status result = status_from(status, "cannot open the data directory " + directory);
  if (status.IsPathNotFound()) {
    result.code = StatusCode::corruption;  // A file that the engine knows of is gone.
  }
  return result;
}

}  // namespace

Status status_from(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) {
    return {};
  }
  StatusCode code = StatusCode::io_error;
  if (status.IsNotFound()) {
    return {StatusCode::not_found, {}};
  }
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::SubCode::kSpaceLimit) {
    code = StatusCode::full;
  } else if (status.IsCorruption()) {
    code = StatusCode::corruption;
  } else if (status.IsShutdownInProgress()) {
    code = StatusCode::closed;
  }
  return {code, std::string(what) + ": " + status.ToString()};
}

OpenedEngine Engine::open(const RocksOptions& options,
                          const std::shared_ptr<const RetentionSlot>& retention) {
  const rocksdb::DBOptions settings = engine_options(options);
  if (Status status = make_directory(options.directory); !status.ok()) {
    return {std::move(status), nullptr};
  }
  std::error_code error;
  const bool exists = fs::exists(options.directory + "/CURRENT", error);
  Status checked =
      exists ? check_families(options.directory, settings) : check_not_headless(options.directory);
  if (!checked.ok()) {
    return {std::move(checked), nullptr};
  }

  rocksdb::DB* database = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const rocksdb::Status opened = rocksdb::DB::Open(
      settings, options.directory, descriptors(options, retention), &handles, &database);
  if (!opened.ok()) {
    return {open_failure(opened, options.directory), nullptr};
  }
  std::unique_ptr<Engine> engine(new Engine);
  engine->database_.reset(database);
  engine->default_handle_ = handles[0];
  std::copy(handles.begin() + 1, handles.end(), engine->handles_.begin());
  if (Status status = engine->check_format(); !status.ok()) {
    status.detail = "the data directory " + options.directory + " " + status.detail;
    return {std::move(status), nullptr};
  }
  return {{}, std::move(engine)};
}

Engine::~Engine() {
  if (database_ == nullptr) {
    return;
  }
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    database_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  database_->DestroyColumnFamilyHandle(default_handle_).PermitUncheckedError();
  database_->Close().PermitUncheckedError();
}

rocksdb::ColumnFamilyHandle* Engine::handle(Family family) const noexcept {
  SKERRY_ASSERT(family < Family::count_);
  return handles_[static_cast<std::size_t>(family)];
}

Status Engine::check_format() {
  std::string text;
  const rocksdb::Slice key(format_version_key.data(), format_version_key.size());
  const rocksdb::Status read = database_->Get({}, handle(Family::meta), key, &text);
  if (read.IsNotFound()) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    return status_from(
        database_->Put(synced, handle(Family::meta), key, std::to_string(format_version)),
        "cannot be given its format version");
  }
  if (!read.ok()) {
    return status_from(read, "does not give its format version");
  }
  std::uint32_t found = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), found);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return {StatusCode::corruption, "has an unreadable format version"};
  }
  if (found > format_version) {
    return {StatusCode::unsupported,
            "has format version " + std::to_string(found) +
                ", but this program reads versions up to " + std::to_string(format_version) +
                ": use the newer program, or restore a backup made by this one"};
  }
  return {};
}

}  // namespace skerry::storage
