// Records that cannot be read at start: each is written to a file of the quarantine, as a line of
// JSON with key and value in hexadecimal, and then erased, so that it is reported once. Records of
// the registry stay where they are: a damaged revocation still revokes.
#pragma once

#include <string>
#include <string_view>

#include "base/now.hpp"
#include "storage/committer.hpp"
#include "storage/salvage_report.hpp"

namespace skerry::app {

class DamagedRecords {
 public:
  /// Notes what it sets aside in `report`, which must outlive it.
  DamagedRecords(std::string data_dir, storage::SalvageReport& report, WallTime now);

  void set_aside(storage::Family family, std::string_view key, std::string_view value);

  /// Puts the file on stable storage and has the records erased. A sentence when that failed: they
  /// stay in the store then. Blocks.
  std::string finish(storage::Committer& committer);

 private:
  const std::string data_dir_;
  storage::SalvageReport& report_;
  const WallTime now_;
  std::string lines_;
  storage::Batch erased_;
};

}  // namespace skerry::app
