// FilterTree: the tree under TopicTrie: topic filters cut into levels, a number kept per filter.
//
// A node stands for the levels from the root to it. `+` is a child of its own; `#` is no node but a
// second number of the node before it. The first named child is remembered in the node, which is
// all that chains need; with the second child both move to one hash table of the whole tree, keyed
// by (parent, level), so that a node costs 28 bytes whatever its fan-out.
//
// Work of a match: a node lies at one depth and under one parent, so it is visited at most once. A
// match costs at most min(nodes of the tree, 2^levels) visits, and what one filter adds to that is
// its own levels: filters of many `+` cannot multiply each other.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/keyed_hash.hpp"
#include "base/limits.hpp"
#include "routing/index_table.hpp"
#include "routing/level_table.hpp"
#include "routing/slab.hpp"

namespace skerry::routing {

class FilterTree {
 public:
  explicit FilterTree(HashKey key);

  /// The number kept for `filter`, 0 when it is new. The filter is in the tree from now on, and the
  /// caller sets the number to something else than 0 at once. The reference lives until erase().
  /// `filter` is valid (mqtt::is_valid_topic_filter). O(length).
  std::uint32_t& insert(std::string_view filter);

  /// The number kept for `filter`, 0 when it is not here. O(length), no allocation.
  std::uint32_t find(std::string_view filter) const noexcept;

  /// Removes `filter` and the branches that nothing else needs. The number it had, or 0.
  std::uint32_t erase(std::string_view filter);

  /// Nodes beside the root.
  std::uint32_t node_count() const noexcept { return nodes_.size() - 1; }

  /// Calls visit(number) for each filter that matches `topic`; the order is not specified. The tree
  /// must not be changed meanwhile. Answers how many nodes were looked at. No allocation.
  template <typename Visitor>
  std::size_t match(std::string_view topic, Visitor&& visit) const;

  /// Calls visit(filter, number) for all; the view lives during the call.
  template <typename Visitor>
  void for_each(Visitor&& visit) const;

 private:
  struct Node {
    std::uint32_t parent = 0;
    std::uint32_t level = 0;        // 0: `+`, or the root
    std::uint32_t plus = 0;         // the child `+`
    std::uint32_t named_child = 0;  // the only named child there has been, or 0
    std::uint32_t named_count = 0;  // more than that: they are in edges_
    std::uint32_t value = 0;        // the number of the filter that ends here
    std::uint32_t value_below = 0;  // of the filter that goes on with `#`
  };
  /// Where a filter's number is kept.
  struct Place {
    std::uint32_t node = 0;  // 0: not in the tree
    bool below = false;      // ends in `#`
  };
  /// The levels of the topic that a match has come to so far.
  class Levels;

  std::uint32_t edge_hash(std::uint32_t parent, std::uint32_t level) const noexcept;
  std::uint32_t named_child(std::uint32_t parent, std::uint32_t level) const noexcept;
  std::uint32_t add_child(std::uint32_t parent, std::string_view name);
  void remove_leaf(std::uint32_t node);
  Place locate(std::string_view filter) const noexcept;
  void append_path(std::uint32_t node, std::string& out) const;

  HashKey key_;
  LevelTable levels_;
  Slab<Node> nodes_;
  IndexTable edges_;
  std::uint32_t root_;
};

class FilterTree::Levels {
 public:
  Levels(std::string_view topic, const LevelTable& table) noexcept : topic_(topic), table_(table) {}

  /// Are there exactly `depth` levels? Levels up to depth − 1 have been reached already.
  bool end_at(std::size_t depth) const noexcept { return depth == count_ && !more_; }

  /// Cuts the level at `depth` off, once.
  void reach(std::size_t depth) noexcept {
    if (depth < count_) {
      return;
    }
    const std::size_t slash = topic_.find('/', start_);
    more_ = slash != std::string_view::npos;
    const std::size_t end = more_ ? slash : topic_.size();
    cuts_[count_++] = {static_cast<std::uint32_t>(start_), static_cast<std::uint32_t>(end - start_),
                       not_looked_up};
    start_ = end + 1;
  }

  /// Number of the level at `depth`, 0 when no filter has it. Hashed at most once, and only when
  /// some node has named children there.
  std::uint32_t number(std::size_t depth) noexcept {
    Cut& cut = cuts_[depth];
    if (cut.number == not_looked_up) {
      cut.number = table_.find({topic_.data() + cut.start, cut.size});
    }
    return cut.number;
  }

 private:
  static constexpr std::uint32_t not_looked_up = 0xFFFFFFFF;

  struct Cut {
    std::uint32_t start;
    std::uint32_t size;
    std::uint32_t number;
  };

  std::string_view topic_;
  const LevelTable& table_;
  std::size_t start_ = 0;
  std::size_t count_ = 0;
  bool more_ = true;
  std::array<Cut, topic_levels_max> cuts_;  // only the first count_ are ever set
};

template <typename Visitor>
std::size_t FilterTree::match(std::string_view topic, Visitor&& visit) const {
  struct Step {
    std::uint32_t node;
    std::uint32_t depth;
  };
  // Each step leaves at most one other behind and goes one level down, so this is enough.
  std::array<Step, topic_levels_max + 1> waiting;
  std::size_t waiting_count = 0;
  std::size_t visited = 0;
  Levels levels(topic, levels_);
  const bool dollar = !topic.empty() && topic.front() == '$';
  for (Step step{root_, 0};;) {
    ++visited;
    const Node& node = nodes_[step.node];
    const bool wildcard_allowed = step.depth > 0 || !dollar;  // [MQTT-4.7.2-1]
    if (node.value_below != 0 && wildcard_allowed) {
      visit(node.value_below);  // `a/#` matches `a` and all below it, section 4.7.1.2
    }
    Step next{0, step.depth + 1};
    if (levels.end_at(step.depth)) {
      if (node.value != 0) {
        visit(node.value);
      }
    } else if (node.named_count != 0 || node.plus != 0) {
      levels.reach(step.depth);
      if (node.named_count != 0) {
        next.node = named_child(step.node, levels.number(step.depth));
      }
      if (node.plus != 0 && wildcard_allowed) {
        waiting[waiting_count++] = {node.plus, next.depth};
      }
    }
    if (next.node == 0) {
      if (waiting_count == 0) {
        return visited;
      }
      next = waiting[--waiting_count];
    }
    step = next;
  }
}

template <typename Visitor>
void FilterTree::for_each(Visitor&& visit) const {
  std::string filter;
  nodes_.for_each([&](std::uint32_t index, const Node& node) {
    if (node.value == 0 && node.value_below == 0) {
      return;
    }
    filter.clear();
    append_path(index, filter);
    if (node.value != 0) {
      visit(std::string_view(filter), node.value);
    }
    if (node.value_below != 0) {
      filter += index == root_ ? "#" : "/#";
      visit(std::string_view(filter), node.value_below);
    }
  });
}

}  // namespace skerry::routing
