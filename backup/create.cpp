#include "backup/create.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <filesystem>

#include "backup/content.hpp"
#include "crypto/hash.hpp"

namespace skerry::backup {

namespace {

namespace fs = std::filesystem;

/// For what a checkpoint copies even where it may link (the log, the list of files), and so that a
/// backup is not what fills the disk for the messages.
constexpr std::uint64_t room_bytes = 128ULL * 1024 * 1024;
constexpr std::uint64_t room_percent = 2;

std::string final_path(const CreateOptions& options) {
  return options.directory + "/" + options.name;
}

std::string working_path(const CreateOptions& options) {
  return options.directory + "/" + std::string{unfinished_prefix} + options.name;
}

bool are_on_one_file_system(const std::string& left, const std::string& right) {
  struct stat of_left {};
  struct stat of_right {};
  return ::stat(left.c_str(), &of_left) == 0 && ::stat(right.c_str(), &of_right) == 0 &&
         of_left.st_dev == of_right.st_dev;
}

std::uint64_t bytes_in(const std::string& directory) {
  std::uint64_t total = 0;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    std::error_code gone;  // files come and go while this walks
    const std::uintmax_t size = at->file_size(gone);
    total += gone ? 0 : size;
  }
  return total;
}

Outcome outcome_of(const storage::Status& status) {
  if (status.ok()) {
    return {};
  }
  return {status.code == storage::StatusCode::full ? Code::full : Code::io_error, status.detail};
}

/// Plain files of `data_dir/ca`; the authority has no directories in it.
Outcome copy_authority(const CreateOptions& options, const Attention& attention) {
  const std::string from = options.data_dir + "/ca";
  const std::string to = working_path(options) + "/ca";
  std::vector<std::string> paths;
  Outcome outcome = make_directories(to);
  if (outcome.ok()) {
    outcome = list_files(from, paths);
  }
  for (const std::string& path : paths) {
    if (!outcome.ok()) {
      break;
    }
    if (path.ends_with(".new") || !is_backup_path("ca/" + path)) {
      continue;  // being written at this moment, or not of the authority
    }
    Digest digest;
    outcome = copy_file(from + "/" + path, to + "/" + path, digest, attention);
  }
  return outcome;
}

/// What the engine has linked or copied may still be in memory only.
Outcome digest_files(const std::string& root, const Attention& attention, Manifest& manifest) {
  std::vector<std::string> paths;
  Outcome outcome = list_files(root, paths);
  for (std::size_t index = 0; outcome.ok() && index < paths.size(); ++index) {
    if (!is_backup_path(paths[index])) {
      return {Code::io_error, "the store has a file of an unexpected name: " + paths[index]};
    }
    Digest digest;
    outcome = sync_path(root + "/" + paths[index]);
    if (outcome.ok()) {
      outcome = digest_file(root + "/" + paths[index], digest, attention);
    }
    manifest.files.push_back({paths[index], digest.bytes, digest.sha256});
  }
  return outcome;
}

Outcome write_manifest(const std::string& root, const Manifest& manifest) {
  const std::string text = encode_manifest(manifest);
  if (Outcome outcome = write_new_file(root + "/" + std::string{manifest_name}, text);
      !outcome.ok()) {
    return outcome;
  }
  const std::string line = crypto::sha256_hex(text) + "  " + std::string{manifest_name} + "\n";
  return write_new_file(root + "/" + std::string{manifest_hash_name}, line);
}

Outcome fill(const CreateOptions& options, const Attention& attention, Manifest& made) {
  const std::string root = working_path(options);
  made = {options.name, options.now, options.server_version, 0, 0, {}, {}};
  Outcome outcome = outcome_of(options.checkpoint(root + "/store"));
  if (outcome.ok()) {
    outcome = copy_authority(options, attention);
  }
  if (outcome.ok()) {
    outcome = make_private(root);
  }
  if (outcome.ok()) {
    outcome = digest_files(root, attention, made);
  }
  Content content;
  if (outcome.ok()) {
    outcome = read_content(root + "/store", content, attention);
  }
  if (outcome.ok()) {
    made.store_format = content.store_format;
    made.sequence = content.sequence;
    made.families = std::move(content.families);
    outcome = write_manifest(root, made);
  }
  return outcome.ok() ? sync_directories(root) : outcome;
}

Outcome rename_to_its_name(const CreateOptions& options) {
  std::error_code error;
  fs::rename(working_path(options), final_path(options), error);
  if (error) {
    return failure("rename", working_path(options), error.value());
  }
  return sync_path(options.directory);
}

}  // namespace

Outcome check_room(const CreateOptions& options) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(final_path(options), error))) {
    return {Code::exists, "there is a backup of the name " + options.name};
  }
  if (Outcome outcome = make_directories(options.directory); !outcome.ok()) {
    return outcome;
  }
  struct statvfs facts {};
  if (::statvfs(options.directory.c_str(), &facts) != 0) {
    return failure("look at", options.directory, errno);
  }
  const std::uint64_t block = facts.f_frsize;
  const std::uint64_t store = options.data_dir.empty() ? 0 : bytes_in(options.data_dir + "/store");
  const bool links = are_on_one_file_system(options.directory, options.data_dir + "/store");
  const std::uint64_t whole = block * facts.f_blocks;
  const std::uint64_t copied = links ? room_bytes / 2 : store + room_bytes / 2;
  const std::uint64_t needed = copied + std::min(whole / 100 * room_percent, room_bytes / 2);
  if (block * facts.f_bavail < needed) {
    return {Code::full, "the file system of " + options.directory + " has " +
                            std::to_string(block * facts.f_bavail >> 20) +
                            " MiB free, but a backup may take " + std::to_string(needed >> 20)};
  }
  return {};
}

Outcome create(const CreateOptions& options, const Attention& attention, Manifest& made) {
  Outcome outcome = check_room(options);
  if (!outcome.ok()) {
    return outcome;
  }
  outcome = remove_tree(working_path(options));
  if (outcome.ok()) {
    outcome = make_directories(working_path(options));
  }
  if (outcome.ok()) {
    outcome = fill(options, attention, made);
  }
  if (outcome.ok()) {
    outcome = rename_to_its_name(options);
  }
  if (!outcome.ok()) {
    // The first failure is what matters; what cannot be removed goes at the next start.
    [[maybe_unused]] const Outcome removed = remove_tree(working_path(options));
  }
  return outcome;
}

}  // namespace skerry::backup
