// Oracle: what must be true of a world that has come to rest, judged from its history.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "sim/history.hpp"
#include "sim/world.hpp"

namespace skerry::sim {

class Oracle {
 public:
  explicit Oracle(World& world) : world_(world) {}

  /// Asks for all retained messages and judges them: none that was replaced or removed before, none
  /// missing.
  void judge_retained();
  /// Everything else; throws Finding.
  void judge();

 private:
  void judge_client(const Client& client);
  void judge_groups();
  void judge_order(const Client& client);
  void judge_tap();
  bool owed(const Client& client, MessageNumber number) const;
  bool excused(const Client& client, const Message& message) const;
  bool group_owed(FilterIndex filter, const Message& message) const;
  bool replaced(MessageNumber number) const;
  void judge_topic(TopicIndex topic, MessageNumber shown) const;

  World& world_;
  std::uint64_t missing_ = 0;
  std::string first_missing_;
};

}  // namespace skerry::sim
