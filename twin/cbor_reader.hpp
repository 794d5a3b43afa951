// CborReader: CBOR (RFC 8949) item by item. The heads are decoded by libcbor's stream decoder,
// which allocates nothing and sees no more than the bytes at hand; nesting, sizes and what an item
// means are the caller's. It builds no tree, so a hostile length costs nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.hpp"

namespace skerry::twin {

enum class CborKind : std::uint8_t {
  unsigned_integer,  ///< `number`
  negative_integer,  ///< −1 − `number`
  bytes,             ///< `text`, or chunks up to a `stop` when `indefinite`
  text,              ///< the same; not judged as UTF-8
  array,             ///< `number` items, or up to a `stop` when `indefinite`
  map,               ///< `number` pairs, or up to a `stop` when `indefinite`
  tag,               ///< `number`; the item it belongs to follows
  real,              ///< `real`, of any size
  boolean,           ///< `number` is 0 or 1
  null,              ///< null and undefined
  stop,              ///< ends what is indefinite
};

struct CborItem {
  CborKind kind = CborKind::null;
  bool indefinite = false;
  std::uint64_t number = 0;
  double real = 0;
  std::string_view text;  ///< bytes of the payload
};

class CborReader {
 public:
  explicit CborReader(Bytes payload) noexcept : rest_(payload) {}

  /// The next head with, for definite strings, its bytes. nullopt: cut short or not well-formed;
  /// the reader stays where it is.
  std::optional<CborItem> next() noexcept;

  /// Everything has been read.
  bool at_end() const noexcept { return rest_.empty(); }

 private:
  Bytes rest_;
};

}  // namespace skerry::twin
