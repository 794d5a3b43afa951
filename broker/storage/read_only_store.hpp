// ReadOnlyStore: the files of a store, looked at without changing one of them. For copies of a
// store; what it is deliberately not for is a store that a server has open.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "storage/batch.hpp"
#include "storage/status.hpp"

namespace skerry::storage {

class ReadOnlyStore {
 public:
  virtual ~ReadOnlyStore() = default;

  /// The number of the last write that the files hold.
  virtual std::uint64_t sequence() const = 0;

  /// The version of the layout, as it stands in the store.
  virtual std::uint32_t format_version() const = 0;

  /// Gets each record of the family in the order of keys, until it returns false. A family that the
  /// store does not have yet has no records. The views live for the call. Blocks.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  virtual Status for_each(Family family, const Visit& visit) const = 0;
};

struct OpenedReadOnlyStore {
  Status status;
  std::unique_ptr<ReadOnlyStore> store;  ///< null unless status.ok()
};

/// Writes nothing, takes no lock; what is only in the log is replayed in memory (at most
/// RocksOptions::write_buffer_bytes × 4, which bounds the log). A newer format, or a family that
/// this program does not know, is `unsupported`. Blocks.
OpenedReadOnlyStore open_read_only_store(const std::string& directory);

}  // namespace skerry::storage
