// The few things that a backup does with files: list, hash, copy, sync. Everything blocks; every
// failure names its file. Symbolic links and whatever else is no plain file are refused.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "backup/outcome.hpp"

namespace skerry::backup {

/// Asked between pieces of long work; true: give up as `stopped`.
using Stop = std::function<bool()>;
/// Told of bytes that were read; for people who wait.
using Progress = std::function<void(std::uint64_t bytes)>;

struct Attention {
  Stop stop = [] { return false; };
  Progress progress = [](std::uint64_t) {};
};

struct Digest {
  std::uint64_t bytes = 0;
  std::string sha256;
};

/// Paths of all files below `root`, relative to it and in their order. At most backup_files_max.
Outcome list_files(const std::string& root, std::vector<std::string>& paths);

Outcome digest_file(const std::string& path, Digest& digest, const Attention& attention);

/// Copies to a new file (0600) and syncs it; `digest` is of what was read.
Outcome copy_file(const std::string& from, const std::string& to, Digest& digest,
                  const Attention& attention);

/// Writes a new file (0600) and syncs it.
Outcome write_new_file(const std::string& path, std::string_view content);

/// All of a file of at most `bytes_max`. A missing one is `not_found`, a larger one `damaged`.
Outcome read_small_file(const std::string& path, std::size_t bytes_max, std::string& content);

/// Creates a directory (0700); its parents as well. One that is there stays as it is.
Outcome make_directories(const std::string& path);

/// Puts the file or directory itself on stable storage.
Outcome sync_path(const std::string& path);

/// Syncs `root` and all directories below it.
Outcome sync_directories(const std::string& root);

/// For the owner alone: 0700 for directories, 0600 for files, `root` included.
Outcome make_private(const std::string& root);

/// Removes all of it; a missing one is fine.
Outcome remove_tree(const std::string& root);

}  // namespace skerry::backup
