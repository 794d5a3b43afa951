// Making a backup of a running server: a checkpoint of its store, then the keys and certificates of
// its authority, then the manifest over both. It comes to its name by one rename, so that what has
// the name of a backup is whole.
#pragma once

#include <functional>
#include <string>

#include "backup/files.hpp"
#include "backup/manifest.hpp"
#include "storage/status.hpp"

namespace skerry::backup {

struct CreateOptions {
  std::string data_dir;   ///< with `ca/` and `store/`
  std::string directory;  ///< where backups lie; made when it is not there
  std::string name;       ///< is_backup_name()
  std::string server_version;
  WallTime now{};
  /// Puts a consistent copy of the store into a directory that does not exist yet.
  std::function<storage::Status(const std::string& directory)> checkpoint;
};

/// What has this prefix in the directory of backups is being made, or was when the server died.
inline constexpr std::string_view unfinished_prefix = ".unfinished-";

/// `full` when there is not enough room for the checkpoint, `exists` when the name is taken. Cheap.
Outcome check_room(const CreateOptions& options);

/// Leaves nothing behind when it fails. Blocks for as long as reading the store twice takes: once
/// for the files, once for the records. The server writes on meanwhile.
Outcome create(const CreateOptions& options, const Attention& attention, Manifest& made);

}  // namespace skerry::backup
