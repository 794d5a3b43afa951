// RetainedScans: answers to wildcards over retained messages that are under way, of the topics that
// one core keeps. A slice of each is out at a time; the next one is made when it was taken.
//
//   ready → (a slice is sent) → sliced → (RetainedNext) → ready, or done
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/ring.hpp"
#include "routing/retained_store.hpp"
#include "shard/mail.hpp"

namespace skerry::shard {

struct RetainedScans {
  struct Scan {
    CoreIndex to;
    mail::RetainedQuery query;
    routing::RetainedStore::Cursor cursor;
    routing::RetainedStore::Cursor before;  ///< as it was for the last slice
  };
  using Key = std::pair<std::uint64_t, std::string>;  ///< session and filter
  static Key key_of(const Scan& scan) { return {scan.query.session, scan.query.filter}; }

  Ring<Scan> ready;
  std::map<Key, Scan> sliced;
  std::set<Key> known;   ///< of both
  bool held_up = false;  ///< by full mailboxes of other cores
  /// Answers to slices that wait until a session of this core has room, and who waits for each.
  Ring<std::pair<CoreIndex, mail::RetainedNext>> held;

  /// There is something to do now.
  bool go_on() const noexcept { return !ready.empty() && !held_up; }
};

}  // namespace skerry::shard
