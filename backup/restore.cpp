#include "backup/restore.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "backup/verify.hpp"

namespace skerry::backup {

namespace {

namespace fs = std::filesystem;

std::string marker_path(const std::string& data_dir) {
  return data_dir + "/" + std::string{restore_marker_name};
}

/// The engine holds a lock on this file as long as it is open.
bool is_in_use(const std::string& data_dir) {
  const int file = ::open((data_dir + "/store/LOCK").c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) {
    return false;
  }
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool asked = ::fcntl(file, F_GETLK, &lock) == 0;
  ::close(file);
  return asked && lock.l_type != F_UNLCK;
}

Outcome check_empty(const std::string& data_dir) {
  std::error_code error;
  const fs::file_status status = fs::status(data_dir, error);
  if (status.type() == fs::file_type::not_found) {
    return {};
  }
  if (!fs::is_directory(status)) {
    return {Code::not_empty, data_dir + " is no directory"};
  }
  const bool is_empty = fs::is_empty(data_dir, error);
  if (error) {
    return failure("read", data_dir, error.value());
  }
  if (is_empty) {
    return {};
  }
  if (is_in_use(data_dir)) {
    return {Code::not_empty, "a server is running on " + data_dir +
                                 ": a backup is restored to an empty directory, with no server"};
  }
  return {Code::not_empty, data_dir + " is not empty: a backup is restored to an empty directory"};
}

Outcome copy_files(const std::string& from, const std::string& to, const Manifest& manifest,
                   const Attention& attention) {
  for (const FileEntry& file : manifest.files) {
    const std::string target = to + "/" + file.path;
    if (Outcome made = make_directories(fs::path(target).parent_path().string()); !made.ok()) {
      return made;
    }
    Digest digest;
    if (Outcome copied = copy_file(from + "/" + file.path, target, digest, attention);
        !copied.ok()) {
      return copied;
    }
    if (digest.bytes != file.bytes || digest.sha256 != file.sha256) {
      return {Code::damaged, file.path + " has changed while it was restored"};
    }
  }
  return {};
}

/// What was read is right by now; this asks whether what was written is.
Outcome check_copies(const std::string& data_dir, const Manifest& manifest,
                     const Attention& attention) {
  for (const FileEntry& file : manifest.files) {
    Digest digest;
    if (Outcome read = digest_file(data_dir + "/" + file.path, digest, attention); !read.ok()) {
      return read;
    }
    if (digest.sha256 != file.sha256) {
      return {Code::damaged, file.path + " is not what was written to it"};
    }
  }
  return verify_content(data_dir, manifest, attention);
}

Outcome remove_marker(const std::string& data_dir) {
  if (::unlink(marker_path(data_dir).c_str()) != 0) {
    return failure("remove", marker_path(data_dir), errno);
  }
  return sync_path(data_dir);
}

}  // namespace

Outcome restore(const std::string& directory, const std::string& data_dir,
                const Attention& attention, Manifest& restored) {
  Outcome outcome = check_empty(data_dir);
  if (!outcome.ok()) {
    return outcome;
  }
  Verified verified = verify(directory, attention);
  if (!verified.outcome.ok()) {
    return std::move(verified.outcome);
  }
  restored = std::move(verified.manifest);
  outcome = make_directories(data_dir);
  if (outcome.ok()) {
    outcome = write_new_file(marker_path(data_dir),
                             "backup " + restored.name + " from " + directory + "\n");
  }
  if (outcome.ok()) {
    outcome = sync_path(data_dir);
  }
  if (outcome.ok()) {
    outcome = sync_path(fs::absolute(data_dir).lexically_normal().parent_path().string());
  }
  if (outcome.ok()) {
    outcome = copy_files(directory, data_dir, restored, attention);
  }
  if (outcome.ok()) {
    outcome = sync_directories(data_dir);
  }
  if (outcome.ok()) {
    outcome = check_copies(data_dir, restored, attention);
  }
  return outcome.ok() ? remove_marker(data_dir) : outcome;
}

Outcome check_restored(const std::string& data_dir) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(marker_path(data_dir), error))) {
    return {};
  }
  return {Code::damaged, "the restore of a backup to " + data_dir +
                             " was not finished: empty the directory and restore again"};
}

}  // namespace skerry::backup
