#include "routing/shared_groups.hpp"

namespace skerry::routing {

void GroupMembers::swap_places(std::size_t a, std::size_t b) noexcept {
  if (a != b) {
    std::swap(members_[a], members_[b]);
    places_[name_of(members_[a])] = a;
    places_[name_of(members_[b])] = b;
  }
}

/// Moves the member to the end of its part, then, if that was the connected one, over the border,
/// and then out. The others keep their part.
void GroupMembers::take_out(std::size_t at) {
  if (at < connected_count_) {
    swap_places(at, --connected_count_);
    at = connected_count_;
  }
  swap_places(at, members_.size() - 1);
  durable_count_ -= members_.back().durable.value != 0 ? 1 : 0;
  places_.erase(name_of(members_.back()));
  members_.pop_back();
}

void GroupMembers::put(const GroupMember& member) {
  const auto known = places_.find(name_of(member));
  if (known != places_.end()) {
    if (members_[known->second].connected == member.connected) {
      members_[known->second] = member;  // keeps its place in the round
      return;
    }
    take_out(known->second);
  }
  places_[name_of(member)] = members_.size();
  members_.push_back(member);
  durable_count_ += member.durable.value != 0 ? 1 : 0;
  if (member.connected) {
    swap_places(members_.size() - 1, connected_count_++);
  }
}

bool GroupMembers::remove(std::uint64_t session, DurableId durable) {
  const auto known = places_.find(name_of(session, durable));
  if (known == places_.end()) {
    return false;
  }
  take_out(known->second);
  return true;
}

const GroupMember* GroupMembers::pick(std::uint64_t skip) noexcept {
  for (std::size_t tries = 0; tries < 2 && tries < connected_count_; ++tries) {
    if (turn_ >= connected_count_) {
      turn_ = 0;
    }
    const GroupMember& member = members_[turn_++];
    if (skip == 0 || member.session != skip) {
      return &member;
    }
  }
  return nullptr;
}

const GroupMember* GroupMembers::find(std::uint64_t session, DurableId durable) const noexcept {
  const auto known = places_.find(name_of(session, durable));
  return known == places_.end() ? nullptr : &members_[known->second];
}

}  // namespace skerry::routing
