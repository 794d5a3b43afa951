// The caps of backups, apart from limits.hpp since nothing that serves clients needs them.
#pragma once

#include <cstddef>

namespace skerry {

/// Files in a backup, bytes of its manifest, and how many an operator may have kept. More files are
/// refused when it is made or read; the oldest backup goes when there are more.
inline constexpr std::size_t backup_files_max = 100'000;
inline constexpr std::size_t backup_manifest_bytes_max = 32 * 1024 * 1024;
inline constexpr std::size_t backups_kept_max = 1'000;

}  // namespace skerry
