#include "backup/service.hpp"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <utility>

#include "backup/verify.hpp"

namespace skerry::backup {

namespace {

namespace fs = std::filesystem;

/// What is being removed; never the directory of one that is being made.
constexpr std::string_view deleted_prefix = ".deleted-";

/// Of the thread: cores and committer go first.
constexpr int niceness = 10;

/// "20261125T175357Z", a name that sorts by time.
std::string name_at(WallTime now) {
  const std::time_t seconds = static_cast<std::time_t>(epoch_milliseconds(now) / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  const std::size_t size = std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return {text, size};
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    std::error_code gone;
    if (at->is_directory(gone) && !at->is_symlink(gone)) {
      names.push_back(at->path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Info begun(const CreateOptions& wish) {
  return {State::running, {wish.name, wish.now, wish.server_version, 0, 0, {}, {}}, {}};
}

}  // namespace

BackupService::BackupService(ServiceOptions options)
    : options_(std::move(options)), thread_([this] { run(); }) {}

BackupService::~BackupService() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

CreateOptions BackupService::options_for(const std::string& name) const {
  const WallTime now = options_.clock();
  return {options_.data_dir,
          options_.directory,
          name.empty() ? name_at(now) : name,
          options_.server_version,
          now,
          options_.checkpoint};
}

Outcome BackupService::start(const std::string& name, Info& info) {
  const CreateOptions wish = options_for(name);
  const std::lock_guard lock(mutex_);
  if (running_) {
    return {Code::running, "the backup " + running_->name + " is being made"};
  }
  if (Outcome outcome = check_room(wish); !outcome.ok()) {
    return outcome;
  }
  failed_.reset();
  running_ = wish;
  info = begun(wish);
  changed_.notify_all();
  return {};
}

void BackupService::run() {
  ::pthread_setname_np(::pthread_self(), "skerry-backup");
  // For this thread alone: on Linux a thread is what has a niceness.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness);
  remove_unfinished();
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || running_; });
    if (stopping_) {
      return;
    }
    const CreateOptions wish = *running_;
    lock.unlock();
    work(wish);
    lock.lock();
  }
}

void BackupService::work(const CreateOptions& wish) {
  Attention attention;
  attention.stop = [this] { return stopping_.load(); };
  Info info = begun(wish);
  Manifest made;
  info.outcome = create(wish, attention, made);
  info.state = info.outcome.ok() ? State::complete : State::failed;
  if (info.outcome.ok()) {
    info.manifest = std::move(made);
    statistics_.completed += 1;
    statistics_.last_completed_seconds = epoch_milliseconds(options_.clock()) / 1000;
    statistics_.last_bytes = info.manifest.bytes();
    prune();
  } else {
    statistics_.failed += 1;
  }
  {
    const std::lock_guard lock(mutex_);
    running_.reset();
    if (info.state == State::failed) {
      failed_ = info;
    }
  }
  options_.ended(info);
}

void BackupService::remove_unfinished() const {
  for (const std::string& name : names_in(options_.directory)) {
    if (name.starts_with(unfinished_prefix) || name.starts_with(deleted_prefix)) {
      // One that stays is tried again when a backup of its name is made, and at the next start.
      [[maybe_unused]] const Outcome removed = remove_tree(options_.directory + "/" + name);
    }
  }
}

/// By the time they were made; one whose manifest cannot be read is left for people to look at.
void BackupService::prune() {
  std::vector<Info> all = list();
  std::erase_if(all, [](const Info& info) { return info.state != State::complete; });
  std::sort(all.begin(), all.end(), [](const Info& left, const Info& right) {
    return std::pair(left.manifest.created, left.manifest.name) >
           std::pair(right.manifest.created, right.manifest.name);
  });
  for (std::size_t index = options_.keep; index < all.size(); ++index) {
    [[maybe_unused]] const Outcome removed = erase(all[index].manifest.name);
  }
}

std::optional<Info> BackupService::read(const std::string& name) const {
  Info info;
  info.outcome = read_manifest(options_.directory + "/" + name, info.manifest);
  if (info.outcome.ok() && info.manifest.name != name) {
    info.outcome = {Code::damaged, "its manifest is that of " + info.manifest.name};
  }
  if (!info.outcome.ok()) {
    info.state = State::damaged;
    info.manifest = {};
    info.manifest.name = name;
  }
  return info;
}

std::vector<Info> BackupService::list() const {
  std::vector<Info> all;
  for (const std::string& name : names_in(options_.directory)) {
    if (is_backup_name(name)) {
      all.push_back(*read(name));
    }
  }
  const std::lock_guard lock(mutex_);
  const auto place = [&all](const std::string& name) {
    return std::lower_bound(
        all.begin(), all.end(), name,
        [](const Info& info, const std::string& wanted) { return info.manifest.name < wanted; });
  };
  if (running_) {
    const auto at = place(running_->name);
    if (at == all.end() || at->manifest.name != running_->name) {
      all.insert(at, begun(*running_));
    }
  }
  if (failed_) {
    const auto at = place(failed_->manifest.name);
    if (at == all.end() || at->manifest.name != failed_->manifest.name) {
      all.insert(at, *failed_);
    }
  }
  return all;
}

std::optional<Info> BackupService::find(const std::string& name) const {
  if (!is_backup_name(name)) {
    return std::nullopt;
  }
  {
    const std::lock_guard lock(mutex_);
    if (running_ && running_->name == name) {
      return begun(*running_);
    }
    if (failed_ && failed_->manifest.name == name) {
      return failed_;
    }
  }
  std::error_code error;
  const auto status = fs::symlink_status(options_.directory + "/" + name, error);
  return fs::is_directory(status) ? read(name) : std::nullopt;
}

Outcome BackupService::erase(const std::string& name) {
  const std::string path = options_.directory + "/" + name;
  if (!find(name)) {
    return {Code::not_found, "there is no backup of the name " + name};
  }
  {
    const std::lock_guard lock(mutex_);
    if (failed_ && failed_->manifest.name == name) {
      failed_.reset();
      return {};
    }
    if (running_ && running_->name == name) {
      return {Code::running, "the backup " + name + " is being made"};
    }
  }
  // It loses its name at once, so that half a backup is never taken for one.
  const std::string going = options_.directory + "/" + std::string{deleted_prefix} + name;
  if (Outcome outcome = remove_tree(going); !outcome.ok()) {
    return outcome;
  }
  std::error_code error;
  fs::rename(path, going, error);
  if (error) {
    return failure("rename", path, error.value());
  }
  return remove_tree(going);
}

}  // namespace skerry::backup
