// What a store holds, in a form that two stores can be compared by: records and a checksum for each
// family, however the engine has laid them out.
#pragma once

#include <string>
#include <vector>

#include "backup/files.hpp"
#include "backup/manifest.hpp"

namespace skerry::backup {

struct Content {
  std::uint32_t store_format = 0;
  std::uint64_t sequence = 0;
  std::vector<FamilyEntry> families;  ///< all that this program knows, in their order
};

/// Reads all of the store in `directory`, which nobody may write to, and changes nothing in it.
/// Blocks for as long as reading takes.
Outcome read_content(const std::string& directory, Content& content, const Attention& attention);

}  // namespace skerry::backup
