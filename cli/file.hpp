// Small files: reading under a cap, writing so that nobody else can read or see half of it.
#pragma once

#include <string>

namespace skerry::cli {

/// The whole file, at most 1 MiB. Throws Failure that names `what` ("the key file") and the path.
std::string read_file(const std::string& path, const std::string& what);

/// Replaces the file as a whole by one with `mode`; makes its directory (0700) when there is none.
/// Throws Failure.
void write_file(const std::string& path, const std::string& content, unsigned mode);

/// Creates a file that must not exist, 0600. Throws Failure.
void create_private_file(const std::string& path, const std::string& content);

}  // namespace skerry::cli
