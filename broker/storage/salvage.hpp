// Salvage: opens a store that may be damaged. What cannot be used is set aside, what can be read is
// kept, and a report says what was found. A store that is whole opens as ever; the only extra work
// is to check the files of its log.
//
//   CURRENT away or wrong          made anew from the newest manifest that opens
//   log damaged before its end     a copy is set aside, all records that check out are replayed
//   manifest, a table, a block     everything readable is copied to a new store, record by record;
//                                  the old one is set aside whole
//
// Nothing older comes back in place of what was lost: within the keys of a damaged table nothing is
// read, though an older table may have something to say of them. Only without any manifest the
// engine's repair has to guess which tables are still good; identity is then in doubt.
#pragma once

#include <string>

#include "storage/kv_store.hpp"
#include "storage/salvage_report.hpp"

namespace skerry::storage {

struct SalvageOptions {
  RocksOptions store;
  /// Where damaged things go; made when there are some. On the same file system as the store.
  std::string quarantine;
  /// Look at every table although the store opens: for one that was found damaged while it ran.
  bool thorough = false;
};

struct SalvagedStore {
  OpenedStore opened;
  SalvageReport report;
};

/// Like open_rocks_store(), but a damaged store is no failure. It still is one when the store is in
/// use, of a newer format, or when the disk has no room for the copy. Blocks; the copy of a large
/// store takes its time and as much space as its live records.
SalvagedStore open_or_salvage(const SalvageOptions& options);

// The parts, for tests and for each other.

/// Opens `from` read-only, with `repair` after the engine's repair of a copy made of links, and
/// copies what is readable to the new store `to`. Notes what is missing.
Status copy_readable(const SalvageOptions& options, bool repair, const std::string& to,
                     SalvageReport& report);

}  // namespace skerry::storage
