// SharedGroups: the shared subscriptions whose owner is this core (MQTT 5.0 section 4.8.2): who is
// a member, whose turn it is, and what waits while all members are offline.
//
// `Stored` is the shard's handle on the life of a stored message; it is kept and given back, never
// looked into. QoS and options of a delivery are the shard's business too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "base/keyed_hash.hpp"
#include "base/now.hpp"
#include "base/ring.hpp"
#include "base/strong_id.hpp"
#include "mqtt/message.hpp"
#include "mqtt/packet.hpp"

namespace skerry::routing {

/// One session's membership. A session is known by its DurableId when it has one, so that it stays
/// the same member when it comes back under another session number; else by the session number.
struct GroupMember {
  std::uint64_t session = 0;
  DurableId durable{};  ///< 0: ends with its connection
  CoreIndex core{};     ///< where the session lives
  bool connected = true;
  mqtt::SubscriptionOptions options{};
  std::uint32_t subscription_identifier = 0;
};

/// The members of one group in two parts, the connected ones first, and whose turn it is.
class GroupMembers {
 public:
  /// Adds the member or replaces what was known of it. O(1) on average.
  void put(const GroupMember& member);

  /// False: it was no member. O(1) on average.
  bool remove(std::uint64_t session, DurableId durable);

  /// The connected member whose turn it is, other than `skip` (a session number, 0: none), or null:
  /// there is none. The pointer lives until the next change. O(1).
  const GroupMember* pick(std::uint64_t skip = 0) noexcept;

  /// Null: no such member.
  const GroupMember* find(std::uint64_t session, DurableId durable) const noexcept;

  bool any_durable() const noexcept { return durable_count_ > 0; }
  std::size_t connected_count() const noexcept { return connected_count_; }
  std::size_t size() const noexcept { return members_.size(); }
  const std::vector<GroupMember>& all() const noexcept { return members_; }

 private:
  struct Name {
    bool durable;
    std::uint64_t number;
    bool operator==(const Name&) const = default;
  };
  struct NameHash {
    std::size_t operator()(const Name& name) const noexcept {
      return static_cast<std::size_t>(name.number * 2 + (name.durable ? 1 : 0));
    }
  };

  static Name name_of(std::uint64_t session, DurableId durable) noexcept {
    return durable.value != 0 ? Name{true, durable.value} : Name{false, session};
  }
  static Name name_of(const GroupMember& member) noexcept {
    return name_of(member.session, member.durable);
  }
  void swap_places(std::size_t a, std::size_t b) noexcept;
  void take_out(std::size_t at);

  std::vector<GroupMember> members_;  // the first connected_count_ are connected
  std::unordered_map<Name, std::size_t, NameHash> places_;  // numbers are ours: no peer picks them
  std::size_t connected_count_ = 0;
  std::size_t durable_count_ = 0;
  std::size_t turn_ = 0;
};

/// How much may wait for one group.
struct GroupCaps {
  std::size_t messages_max = 0;
  std::size_t bytes_max = 0;
};

/// Belongs to one core.
template <typename Stored>
class SharedGroups {
 public:
  struct Waiting {
    mqtt::MessagePtr message{};
    Stored stored{};
    mqtt::Qos qos = mqtt::Qos::at_most_once;
  };

  class Group {
   public:
    explicit Group(GroupCaps caps) noexcept : caps_(caps) {}

    const GroupMembers& members() const noexcept { return members_; }
    bool any_durable() const noexcept { return members_.any_durable(); }
    /// See GroupMembers::pick().
    const GroupMember* pick(std::uint64_t skip = 0) noexcept { return members_.pick(skip); }

    /// Puts a message at the end of the queue. False: a cap is reached and nothing was kept.
    [[nodiscard]] bool wait(Waiting entry) {
      const std::size_t bytes = entry.message->size_bytes();
      if (waiting_.size() >= caps_.messages_max || waiting_bytes_ + bytes > caps_.bytes_max) {
        return false;
      }
      waiting_bytes_ += bytes;
      waiting_.push_back(std::move(entry));
      return true;
    }

    /// Puts a message that a member gave back in front of the others. It has been accepted before,
    /// so the caps do not hold for it; what was given out bounds it.
    void wait_in_front(Waiting entry) {
      waiting_bytes_ += entry.message->size_bytes();
      waiting_.push_front(std::move(entry));
    }

    /// Takes at most `count_max` from the front of the queue. What has expired at `now` is dropped
    /// on the way and counts too, so that a call has a bound: ask waiting_count() whether more is
    /// there.
    std::vector<Waiting> take(std::size_t count_max, WallTime now) {
      std::vector<Waiting> taken;
      for (; count_max > 0 && !waiting_.empty(); --count_max) {
        Waiting& entry = waiting_.front();
        waiting_bytes_ -= entry.message->size_bytes();
        if (entry.message->expired(now)) {
          ++expired_count_;
        } else {
          taken.push_back(std::move(entry));
        }
        waiting_.pop_front();
      }
      return taken;
    }

    std::size_t waiting_count() const noexcept { return waiting_.size(); }
    std::size_t waiting_bytes() const noexcept { return waiting_bytes_; }
    /// How many take() has dropped since the group began.
    std::uint64_t expired_count() const noexcept { return expired_count_; }

   private:
    friend class SharedGroups;

    GroupMembers members_;
    Ring<Waiting> waiting_;
    std::size_t waiting_bytes_ = 0;
    std::uint64_t expired_count_ = 0;
    GroupCaps caps_;
  };

  /// The key of a group: the same name with two filters is two groups.
  static std::string key(std::string_view group, std::string_view filter) {
    std::string text;
    text.reserve(group.size() + 1 + filter.size());
    return text.append(group).append(1, '\0').append(filter);
  }

  SharedGroups(HashKey hash_key, GroupCaps caps) : groups_(0, Hash{hash_key}), caps_(caps) {}

  /// Adds the member, or replaces what was known of it; the group begins with its first member. The
  /// reference lives until the last member has left.
  Group& put_member(std::string_view group_key, const GroupMember& member) {
    auto at = groups_.find(group_key);
    if (at == groups_.end()) {
      at = groups_.emplace(std::string(group_key), Group(caps_)).first;
    }
    at->second.members_.put(member);
    return at->second;
  }

  /// What happened to the group when a member left.
  struct Left {
    bool was_member = false;
    bool group_ended = false;      ///< it was the last one
    std::vector<Waiting> dropped;  ///< waited and has nobody to wait for: the stored copies can go
  };

  /// The queue ends with the last member, and also when no member is left who would ever come back
  /// for it: nobody connected, nobody durable. O(1) on average, O(queue) when it ends.
  Left remove_member(std::string_view group_key, std::uint64_t session, DurableId durable) {
    Left left;
    const auto at = groups_.find(group_key);
    if (at == groups_.end()) {
      return left;
    }
    Group& group = at->second;
    left.was_member = group.members_.remove(session, durable);
    if (group.members_.connected_count() == 0 && !group.any_durable()) {
      for (; !group.waiting_.empty(); group.waiting_.pop_front()) {
        left.dropped.push_back(std::move(group.waiting_.front()));
      }
      group.waiting_bytes_ = 0;
    }
    if (group.members_.size() == 0) {
      groups_.erase(at);
      left.group_ended = true;
    }
    return left;
  }

  /// Null: no such group. O(length) on average.
  Group* find(std::string_view group_key) noexcept {
    const auto at = groups_.find(group_key);
    return at == groups_.end() ? nullptr : &at->second;
  }

  std::size_t size() const noexcept { return groups_.size(); }

  /// Calls visit(key, Group&) for all, in no particular order; `visit` must not add or remove
  /// members.
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    for (auto& [group_key, group] : groups_) {
      visit(std::string_view(group_key), group);
    }
  }

 private:
  /// Peers choose the names of groups, so the hash is a keyed one.
  struct Hash {
    using is_transparent = void;
    HashKey key;
    std::size_t operator()(std::string_view text) const noexcept {
      return static_cast<std::size_t>(keyed_hash(key, text));
    }
  };

  std::unordered_map<std::string, Group, Hash, std::equal_to<>> groups_;
  GroupCaps caps_;
};

}  // namespace skerry::routing
