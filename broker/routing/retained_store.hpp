// RetainedStore: the retained messages of the topics that one core keeps, in the order of their
// topics' bytes. A wildcard is answered by a walk that leaps over what cannot match, and since its
// place is a topic and not an iterator, messages may come and go between two slices of it.
// It keeps no caps itself: whoever calls set() looks at count() and size_bytes() first.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"
#include "mqtt/message.hpp"

namespace skerry::routing {

/// Belongs to one core.
class RetainedStore {
 public:
  /// Where a walk over the topics stands. One cursor belongs to one filter.
  class Cursor {
   public:
    /// Nothing is left to visit.
    bool done() const noexcept { return done_; }

   private:
    friend class RetainedStore;
    std::string from_;  // the first topic that has not been looked at is not below this
    bool done_ = false;
  };

  /// Keeps `message` under its topic and gives back what it replaces, null when nothing
  /// [MQTT-3.3.1-5]. An empty payload is kept like any other: removing is erase(). O(log count).
  mqtt::MessagePtr set(mqtt::MessagePtr message);

  /// Removes the message of `topic` and gives it back; null: there was none [MQTT-3.3.1-6].
  mqtt::MessagePtr erase(std::string_view topic);

  /// The message of `topic`, expired or not; null: none.
  mqtt::MessagePtr find(std::string_view topic) const;

  /// The next messages that `filter` (valid, no `$share`) matches, at most `count_max`, and moves
  /// `cursor` on; with the one that brings them to `bytes_max` it stops sooner. A topic that is
  /// there during the whole walk is given exactly once; one that comes or goes meanwhile is given
  /// or not. At most 16 × count_max topics are looked at in one call, so an answer may be empty
  /// before cursor.done(). What has expired at `now` is left out and removed; see take_expired().
  /// `count_max` > 0. O(count_max · log count).
  std::vector<mqtt::MessagePtr> match(std::string_view filter, Cursor& cursor,
                                      std::size_t count_max, WallTime now,
                                      std::size_t bytes_max = SIZE_MAX);

  /// Looks at the next `count_max` topics, going round and round, and removes what has expired, so
  /// that topics that nobody asks for do not stay for ever. See take_expired().
  void sweep(std::size_t count_max, WallTime now);

  /// What match() and sweep() have removed since the last call: its records are to be deleted too.
  std::vector<mqtt::MessagePtr> take_expired();

  /// Calls visit(const MessagePtr&) for all in the order of topics; `visit` must not change the
  /// store.
  template <typename Visitor>
  void for_each(Visitor&& visit) const {
    for (const mqtt::MessagePtr& message : messages_) {
      visit(message);
    }
  }

  std::size_t count() const noexcept { return messages_.size(); }

  /// Memory of the messages, with what the store needs for each.
  std::size_t size_bytes() const noexcept { return size_bytes_; }

 private:
  struct ByTopic {
    using is_transparent = void;
    static std::string_view key(std::string_view topic) noexcept { return topic; }
    static std::string_view key(const mqtt::MessagePtr& message) noexcept {
      return message->topic();
    }
    bool operator()(const auto& left, const auto& right) const noexcept {
      return key(left) < key(right);
    }
  };
  using Messages = std::set<mqtt::MessagePtr, ByTopic>;

  mqtt::MessagePtr remove(Messages::iterator at);

  Messages messages_;
  std::size_t size_bytes_ = 0;
  std::vector<mqtt::MessagePtr> expired_;
  std::string sweep_from_;
};

}  // namespace skerry::routing
