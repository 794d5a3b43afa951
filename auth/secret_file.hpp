// Small files that matter: keys and certificates. Writing is all or nothing (temporary file, fsync,
// rename, fsync of the directory); errors are exceptions with one sentence that names the file,
// because they end the start of the program.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace skerry::auth {

/// Creates the directory for the owner alone (0700), and its parents as usual, unless it is there.
void make_private_directory(const std::string& path);

/// nullopt when there is no such file. A larger one is an error.
std::optional<std::string> read_file(const std::string& path, std::size_t bytes_max = 1024 * 1024);

enum class FileMode { secret, open };  // 0600, 0644

/// Replaces the file by `content` as a whole.
void write_file(const std::string& path, std::string_view content, FileMode mode);

}  // namespace skerry::auth
