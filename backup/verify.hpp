// Is a backup still what its manifest says? Files first, by name, size and hash; then what the
// store in them holds, record by record. Nothing in the backup is changed.
#pragma once

#include <string>
#include <vector>

#include "backup/files.hpp"
#include "backup/manifest.hpp"

namespace skerry::backup {

struct Verified {
  Outcome outcome;                    ///< the first of `problems`
  std::vector<std::string> problems;  ///< one sentence each, at most problems_max
  Manifest manifest;                  ///< empty when it cannot be read
};

inline constexpr std::size_t problems_max = 100;

/// Reads manifest.json and holds it against manifest.sha256. `not_found` without one.
Outcome read_manifest(const std::string& directory, Manifest& manifest);

/// Blocks for as long as reading the backup twice takes.
Verified verify(const std::string& directory, const Attention& attention);

/// The store of `root` against the manifest alone: what restore ends with.
Outcome verify_content(const std::string& root, const Manifest& manifest,
                       const Attention& attention);

}  // namespace skerry::backup
