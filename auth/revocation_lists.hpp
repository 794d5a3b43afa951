// RevocationLists: the CRL files that listeners are configured with, read whole at start and again
// on demand. It does not fetch lists; whoever puts the file there decides how.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"
#include "crypto/certificate.hpp"

namespace skerry::auth {

/// contains() on any thread, without a lock of ours; the rest on the thread of start and reload.
class RevocationLists {
 public:
  using Log = std::function<void(std::string_view)>;

  /// `warn` gets a sentence about each list that is read and has run out; it counts all the same.
  explicit RevocationLists(Log warn) : warn_(std::move(warn)) {}

  /// Reads the file, whose lists must be signed by `issuer`. Throws std::runtime_error with one
  /// sentence when it cannot be read. A file of at most crypto::crl_bytes_max.
  void add(std::string path, crypto::Certificate issuer, WallTime now);

  using Serials = std::vector<std::string>;  ///< sorted

  /// Reads all files again and changes nothing: replace() does. Throws as add() does. Blocks, about
  /// 1 µs an entry.
  std::vector<Serials> read_again(WallTime now) const;
  /// Puts in force what read_again() has returned.
  void replace(const std::vector<Serials>& read);

  /// Is a serial (lower-case hex) on one of the lists of this issuer, named by issuer_of()? Those
  /// count for all listeners, where else its certificates are shown makes them no better; but two
  /// authorities may use one serial. An empty issuer, of a session from before it was kept, stands
  /// for all of them. O(lists · log n).
  bool contains(std::string_view issuer, std::string_view serial) const;

  bool empty() const { return lists_.load() == nullptr; }

  /// SHA-256 of the issuer's public key, lower-case hex.
  static std::string issuer_of(const crypto::Certificate& issuer);

 private:
  struct Source {
    std::string path;
    crypto::Certificate issuer;
    std::string issuer_name;
  };
  struct List {
    std::string issuer_name;
    Serials serials;
  };

  Serials read(const std::string& path, const crypto::Certificate& issuer, WallTime now) const;

  Log warn_;
  std::vector<Source> sources_;
  std::atomic<std::shared_ptr<const std::vector<List>>> lists_;  ///< of each source; null: none
};

}  // namespace skerry::auth
