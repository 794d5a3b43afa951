// Intrusive lists over slots: every step but the choice of a victim is O(1) or one step in a small
// ordered set.
#include "net/lobby.hpp"

#include "base/assert.hpp"

namespace skerry::net {

void Lobby::push(List& list, Through through, Slot slot) noexcept {
  Links& links = nodes_[slot].links[through];
  links = {list.last, none};
  (list.last == none ? list.first : nodes_[list.last].links[through].behind) = slot;
  list.last = slot;
}

void Lobby::take(List& list, Through through, Slot slot) noexcept {
  const Links links = nodes_[slot].links[through];
  (links.before == none ? list.first : nodes_[links.before].links[through].behind) = links.behind;
  (links.behind == none ? list.last : nodes_[links.behind].links[through].before) = links.before;
}

Lobby::List& Lobby::list_of(const Node& node) noexcept {
  Group& group = groups_[node.group];
  if (!node.in_line) {
    return group.quiet;
  }
  return node.begun ? group.begun : group.fresh;
}

std::uint32_t Lobby::group_of(std::uint64_t address) {
  const auto [found, added] = index_.try_emplace(address, none);
  if (added) {
    if (free_groups_.empty()) {
      free_groups_.push_back(static_cast<std::uint32_t>(groups_.size()));
      groups_.emplace_back();
    }
    found->second = free_groups_.back();
    free_groups_.pop_back();
    // Its place in turn_ may outlive it; whoever gets the number inherits that.
    const bool in_turn = groups_[found->second].in_turn;
    groups_[found->second] = Group{};
    groups_[found->second].address = address;
    groups_[found->second].in_turn = in_turn;
  }
  return found->second;
}

void Lobby::resize(std::uint32_t index, std::uint32_t size) {
  Group& group = groups_[index];
  if (group.size > 0) {
    by_size_.erase({group.size, index});
  }
  group.size = size;
  if (size > 0) {
    by_size_.insert({size, index});
    return;
  }
  index_.erase(group.address);
  free_groups_.push_back(index);
}

void Lobby::enter(Slot slot, std::uint64_t address) {
  nodes_.add(slot);
  SKERRY_ASSERT(nodes_[slot].group == none);
  const std::uint32_t group = group_of(address);
  nodes_[slot].group = group;
  push(groups_[group].quiet, by_address, slot);
  resize(group, groups_[group].size + 1);
  ++size_;
}

void Lobby::line_up(Slot slot) {
  Node& node = nodes_[slot];
  SKERRY_ASSERT(node.group != none);
  if (node.in_line) {
    return;
  }
  take(list_of(node), by_address, slot);
  end_silence(slot);
  node.in_line = true;
  push(list_of(node), by_address, slot);
  ++in_line_;
  begun_in_line_ += node.begun ? 1 : 0;
  if (Group& group = groups_[node.group]; !group.in_turn) {
    group.in_turn = true;
    turn_.push_back(node.group);
  }
}

bool Lobby::may_call(const Group& group) const noexcept {
  return group.begun.first != none ||
         (group.fresh.first != none && handshakes_ < options_.handshakes_max);
}

Lobby::Slot Lobby::call_from(Group& group) noexcept {
  List& list = group.begun.first != none ? group.begun : group.fresh;
  const Slot slot = list.first;
  take(list, by_address, slot);
  nodes_[slot].in_line = false;
  push(group.quiet, by_address, slot);
  --in_line_;
  begun_in_line_ -= nodes_[slot].begun ? 1 : 0;
  return slot;
}

std::optional<Lobby::Slot> Lobby::call(SteadyTime now) {
  for (std::size_t rest = may_call() ? turn_.size() : 0; rest > 0; --rest) {
    const std::uint32_t index = turn_.front();
    turn_.pop_front();
    Group& group = groups_[index];
    std::optional<Slot> called;
    if (may_call(group)) {
      called = call_from(group);
    }
    group.in_turn = group.begun.first != none || group.fresh.first != none;
    if (group.in_turn) {
      turn_.push_back(index);
    }
    if (called) {
      if (nodes_[*called].begun) {
        silence(*called, now);
      }
      return called;
    }
  }
  return std::nullopt;
}

void Lobby::silence(Slot slot, SteadyTime now) noexcept {
  nodes_[slot].silent_since = now;
  push(silent_, by_silence, slot);
}

void Lobby::end_silence(Slot slot) noexcept {
  if (nodes_[slot].begun && !nodes_[slot].in_line) {
    take(silent_, by_silence, slot);
  }
}

void Lobby::handshake_begun(Slot slot, SteadyTime now) {
  Node& node = nodes_[slot];
  SKERRY_ASSERT(node.group != none && !node.in_line);
  if (!node.begun) {
    node.begun = true;
    ++handshakes_;
    silence(slot, now);
  }
}

void Lobby::handshake_ended(Slot slot) noexcept {
  if (!nodes_.has(slot)) {
    return;
  }
  Node& node = nodes_[slot];
  SKERRY_ASSERT(!node.in_line);
  if (node.begun) {
    end_silence(slot);
    node.begun = false;
    --handshakes_;
  }
}

std::optional<Lobby::Slot> Lobby::stalled(SteadyTime now) const noexcept {
  if (handshakes_ < options_.handshakes_max || silent_.first == none ||
      now - nodes_[silent_.first].silent_since < options_.stall_min) {
    return std::nullopt;
  }
  return silent_.first;
}

void Lobby::leave(Slot slot) noexcept {
  if (!nodes_.has(slot) || nodes_[slot].group == none) {
    return;
  }
  Node& node = nodes_[slot];
  take(list_of(node), by_address, slot);
  if (node.begun) {
    end_silence(slot);
    --handshakes_;
  }
  in_line_ -= node.in_line ? 1 : 0;
  begun_in_line_ -= node.in_line && node.begun ? 1 : 0;
  const std::uint32_t group = node.group;
  nodes_.remove(slot);
  resize(group, groups_[group].size - 1);
  --size_;
}

std::optional<Lobby::Slot> Lobby::victim(std::uint64_t address) const {
  if (by_size_.empty()) {
    return std::nullopt;
  }
  const Group* heaviest = &groups_[by_size_.rbegin()->second];
  const auto own = index_.find(address);
  const bool is_own = own != index_.end() && groups_[own->second].size >= heaviest->size;
  if (is_own) {
    heaviest = &groups_[own->second];
  }
  if (heaviest->quiet.first != none) {
    return heaviest->quiet.first;
  }
  if (is_own) {
    return std::nullopt;
  }
  return heaviest->fresh.last != none ? heaviest->fresh.last : heaviest->begun.last;
}

}  // namespace skerry::net
