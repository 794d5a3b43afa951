// SalvageReport: what a start found damaged and has set aside, for the log, for metrics and for
// whoever asks whether the server is well.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace skerry::storage {

struct SalvageReport {
  /// Where the damaged things lie now; empty when nothing was damaged.
  std::string directory;
  /// Names of files (relative to the store) that were damaged, missing or could not be used.
  std::vector<std::string> files;
  /// A sentence for each thing that was found and for what is known to be lost.
  std::vector<std::string> findings;
  std::uint64_t records = 0;  ///< single records that could not be read
  /// Changes of the registry or of accounts may be among what was lost.
  bool identity_in_doubt = false;

  bool damaged() const noexcept { return !findings.empty(); }
};

}  // namespace skerry::storage
