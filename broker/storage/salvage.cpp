// What is done with the files; reading record by record is in salvage_copy.cpp.
#include "storage/salvage.hpp"

#include <fcntl.h>
#include <rocksdb/sst_file_reader.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

#include "storage/log_check.hpp"
#include "storage/rocks_tuning.hpp"

namespace skerry::storage {

namespace {

namespace fs = std::filesystem;

/// The copy under way, and the file in it that says it is whole.
fs::path copy_of(const fs::path& store) {
  return store.string() + ".salvaging";
}
constexpr const char* complete_name = "COMPLETE";

bool sync_path(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return false;
  }
  const bool synced = ::fsync(descriptor) == 0;
  ::close(descriptor);
  return synced;
}

/// Whole or not at all.
bool write_small(const fs::path& path, const std::string& content) {
  const fs::path temporary = path.string() + ".new";
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    file << content;
    if (!file.flush()) {
      return false;
    }
  }
  std::error_code error;
  if (!sync_path(temporary)) {
    return false;
  }
  fs::rename(temporary, path, error);
  return !error && sync_path(path.parent_path());
}

std::string read_whole(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<fs::path> files_of(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    files.push_back(at->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

class Salvage {
 public:
  explicit Salvage(const SalvageOptions& options)
      : options_(options), store_(options.store.directory) {}

  SalvagedStore run();

 private:
  void finish_interrupted() const;
  void mend_current();
  bool check_logs();
  bool tables_are_whole();
  SalvagedStore rebuild(const Status& why);
  Status swap(const fs::path& copy);
  bool set_aside(const fs::path& file);
  void note(std::string finding) { report_.findings.push_back(std::move(finding)); }

  const SalvageOptions& options_;
  const fs::path store_;
  SalvageReport report_;
};

/// A crash between the two renames of swap(), or while the copy was being made.
void Salvage::finish_interrupted() const {
  std::error_code error;
  const fs::path copy = copy_of(store_);
  if (!fs::exists(copy, error)) {
    return;
  }
  if (!fs::exists(store_, error) && fs::exists(copy / complete_name, error)) {
    fs::rename(copy, store_, error);
    return;
  }
  fs::remove_all(copy, error);
}

/// Copies a file to the quarantine.
bool Salvage::set_aside(const fs::path& file) {
  std::error_code error;
  fs::create_directories(options_.quarantine, error);
  fs::permissions(options_.quarantine, fs::perms::owner_all, error);
  report_.directory = options_.quarantine;
  report_.files.push_back(file.filename().string());
  return fs::copy_file(file, fs::path(options_.quarantine) / file.filename(),
                       fs::copy_options::overwrite_existing, error);
}

void Salvage::mend_current() {
  std::vector<fs::path> manifests;
  bool has_tables = false;
  for (const fs::path& file : files_of(store_)) {
    if (file.filename().string().starts_with("MANIFEST-")) {
      manifests.push_back(file);
    }
    has_tables = has_tables || file.extension() == ".sst" || file.extension() == ".log";
  }
  const fs::path current = store_ / "CURRENT";
  std::error_code error;
  std::string named = read_whole(current);
  const bool ends_well = named.ends_with('\n');
  named = ends_well ? named.substr(0, named.size() - 1) : std::string();
  const bool is_good = named.starts_with("MANIFEST-") && fs::exists(store_ / named, error);
  if (is_good || (manifests.empty() && !has_tables)) {
    return;
  }
  if (fs::exists(current, error)) {
    set_aside(current);
  } else {
    report_.files.emplace_back("CURRENT");
  }
  if (manifests.empty()) {
    note("CURRENT and the manifests are missing");
    fs::remove(current, error);
    return;
  }
  // Numbers have six digits or more, so the longest name of the last ones is the newest.
  const fs::path newest = *std::max_element(
      manifests.begin(), manifests.end(), [](const fs::path& left, const fs::path& right) {
        const std::string a = left.filename().string();
        const std::string b = right.filename().string();
        return a.size() != b.size() ? a.size() < b.size() : a < b;
      });
  write_small(current, newest.filename().string() + "\n");
  note("CURRENT did not name a manifest; it names " + newest.filename().string() + " now");
}

/// True when a log is damaged before its end.
bool Salvage::check_logs() {
  bool damaged = false;
  for (const fs::path& file : files_of(store_)) {
    if (file.extension() != ".log") {
      continue;
    }
    const LogCheck check = check_log(read_whole(file));
    if (check.state != LogCheck::State::damaged) {
      continue;
    }
    damaged = true;
    set_aside(file);
    report_.identity_in_doubt = true;
    note("the log " + file.filename().string() + " is damaged from byte " +
         std::to_string(check.first_damage) + " on; " + std::to_string(check.damaged_bytes) +
         " bytes of it are lost, among them changes that may have been acknowledged; " +
         (check.readable_behind ? "what was logged behind them is kept"
                                : "nothing was logged behind them"));
  }
  return damaged;
}

bool Salvage::tables_are_whole() {
  rocksdb::Options settings;
  settings.env = rocksdb::Env::Default();
  bool whole = true;
  for (const fs::path& file : files_of(store_)) {
    if (file.extension() != ".sst") {
      continue;
    }
    rocksdb::SstFileReader reader(settings);
    rocksdb::Status status = reader.Open(file.string());
    if (status.ok()) {
      status = reader.VerifyChecksum();
    }
    if (!status.ok()) {
      whole = false;
      report_.files.push_back(file.filename().string());
      note("the table " + file.filename().string() + " is damaged: " + status.ToString());
    }
  }
  return whole;
}

SalvagedStore Salvage::run() {
  finish_interrupted();
  mend_current();
  RocksOptions store = options_.store;
  store.skip_damaged_log = check_logs();
  if (!options_.thorough || tables_are_whole()) {
    OpenedStore opened = open_rocks_store(store);
    if (opened.status.code != StatusCode::corruption) {
      return {std::move(opened), std::move(report_)};
    }
    tables_are_whole();  // for the report
    return rebuild(opened.status);
  }
  return rebuild({StatusCode::corruption, "tables of the store are damaged"});
}

SalvagedStore Salvage::rebuild(const Status& why) {
  note("the store could not be used as it was: " + why.detail);
  const fs::path copy = copy_of(store_);
  std::error_code error;
  Status status = copy_readable(options_, false, copy.string(), report_);
  if (!status.ok() && status.code != StatusCode::full) {
    note("without its manifest: " + status.detail);
    report_.files.emplace_back("MANIFEST");
    fs::remove_all(copy, error);
    report_.identity_in_doubt = true;
    status = copy_readable(options_, true, copy.string(), report_);
  }
  if (!status.ok() && status.code != StatusCode::full) {
    note("nothing of it could be read (" + status.detail + "): an empty store takes its place");
    fs::remove_all(copy, error);
    RocksOptions empty = options_.store;
    empty.directory = copy.string();
    status = open_rocks_store(empty).status;
  }
  if (status.ok()) {
    status = swap(copy);
  }
  if (!status.ok()) {
    fs::remove_all(copy, error);
    status.detail =
        "the damaged store in " + store_.string() + " could not be salvaged: " + status.detail;
    return {{std::move(status), nullptr}, std::move(report_)};
  }
  return {open_rocks_store(options_.store), std::move(report_)};
}

/// The old store to the quarantine, the copy to its place.
Status Salvage::swap(const fs::path& copy) {
  std::error_code error;
  fs::create_directories(options_.quarantine, error);
  fs::permissions(options_.quarantine, fs::perms::owner_all, error);
  report_.directory = options_.quarantine;
  bool done = write_small(copy / complete_name, "1\n");
  fs::rename(store_, fs::path(options_.quarantine) / "store", error);
  done = done && !error && sync_path(options_.quarantine);
  if (done) {
    fs::rename(copy, store_, error);
    done = !error && sync_path(fs::absolute(store_).parent_path());
  }
  fs::remove(store_ / complete_name, error);
  return done ? Status{}
              : Status{StatusCode::io_error,
                       "the old store could not be moved to " + options_.quarantine};
}

}  // namespace

SalvagedStore open_or_salvage(const SalvageOptions& options) {
  return Salvage(options).run();
}

}  // namespace skerry::storage
