// The manifest of a backup: what is in it and how to tell that it is still that. `manifest.json`
// lies beside what it lists, and `manifest.sha256` holds its own hash as `sha256sum -c` reads it.
//
//   NAME/              0700
//     manifest.json    files with bytes and SHA-256, families with records and content checksum
//     manifest.sha256  "<64 digits>  manifest.json"
//     store/…          the store, at one point of its sequence of writes
//     ca/…             keys and certificates of the authority
//
// The content checksum of a family is SHA-256 over its records in the order of keys, each as key
// length, value length (4 bytes each, big-endian), key, value: it does not depend on how the engine
// has laid them out in files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backup/outcome.hpp"
#include "base/now.hpp"
#include "base/result.hpp"

namespace skerry::backup {

/// The version of the manifest that this program writes.
inline constexpr std::int64_t manifest_format = 1;

inline constexpr std::string_view manifest_name = "manifest.json";
inline constexpr std::string_view manifest_hash_name = "manifest.sha256";

struct FileEntry {
  std::string path;  ///< below the backup: "store/000012.sst"
  std::uint64_t bytes = 0;
  std::string sha256;  ///< 64 lower-case digits

  bool operator==(const FileEntry&) const = default;
};

struct FamilyEntry {
  std::string name;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  ///< of keys and values
  std::string sha256;

  bool operator==(const FamilyEntry&) const = default;
};

struct Manifest {
  std::string name;
  WallTime created{};
  std::string server_version;
  std::uint32_t store_format = 0;
  std::uint64_t sequence = 0;  ///< of the last write that the backup holds
  std::vector<FamilyEntry> families;
  std::vector<FileEntry> files;  ///< by path

  std::uint64_t bytes() const noexcept;

  bool operator==(const Manifest&) const = default;
};

std::string encode_manifest(const Manifest& manifest);

/// Takes nothing on trust: unknown members, paths that lead elsewhere, files that come twice,
/// numbers out of range are `damaged`; a higher format is `newer`.
Result<Manifest, Outcome> decode_manifest(std::string_view text);

/// 1 to 64 letters, digits, '.', '-' and '_', the first a letter or digit: never a path.
bool is_backup_name(std::string_view name) noexcept;

/// "store/…" or "ca/…" of plain segments, none of which begins with a dot.
bool is_backup_path(std::string_view path) noexcept;

}  // namespace skerry::backup
