// Restoring a backup: into an empty directory, with no server running. While it is under way, and
// for good when it breaks off, a file in the directory keeps servers from starting on it.
#pragma once

#include <string>

#include "backup/files.hpp"
#include "backup/manifest.hpp"

namespace skerry::backup {

/// The file that says so.
inline constexpr std::string_view restore_marker_name = "restore-unfinished";

/// Verifies the backup, copies it to `data_dir` (absent or empty), checks each file as it is
/// copied, syncs all of it and compares what the restored store holds with the manifest. Takes
/// nothing from the backup but copies, so that it may be removed or used again.
Outcome restore(const std::string& directory, const std::string& data_dir,
                const Attention& attention, Manifest& restored);

/// Why a server must not start on `data_dir`; ok when nothing stands against it.
Outcome check_restored(const std::string& data_dir);

}  // namespace skerry::backup
