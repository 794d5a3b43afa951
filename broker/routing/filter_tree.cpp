#include "routing/filter_tree.hpp"

#include <utility>

#include "base/assert.hpp"

namespace skerry::routing {
namespace {

/// Cuts a filter or topic into levels.
class LevelCutter {
 public:
  explicit LevelCutter(std::string_view text) noexcept : rest_(text) {}

  bool more() const noexcept { return more_; }

  std::string_view next() noexcept {
    const std::size_t slash = rest_.find('/');
    const std::string_view level = rest_.substr(0, slash);
    more_ = slash != std::string_view::npos;
    rest_ = more_ ? rest_.substr(slash + 1) : std::string_view{};
    return level;
  }

 private:
  std::string_view rest_;
  bool more_ = true;
};

}  // namespace

FilterTree::FilterTree(HashKey key) : key_(key), levels_(key), root_(nodes_.emplace()) {}

/// Multiplication by a secret odd number between two folds: the numbers are ours, given out in
/// order, so nobody outside can choose pairs that collide.
std::uint32_t FilterTree::edge_hash(std::uint32_t parent, std::uint32_t level) const noexcept {
  std::uint64_t x = ((std::uint64_t{parent} << 32) | level) ^ key_.words[0];
  x *= 0x9E3779B97F4A7C15ULL;
  x ^= x >> 32;
  x *= key_.words[1] | 1;
  return static_cast<std::uint32_t>(x >> 32);
}

std::uint32_t FilterTree::named_child(std::uint32_t parent, std::uint32_t level) const noexcept {
  const Node& node = nodes_[parent];
  if (level == 0 || node.named_count == 0) {
    return 0;
  }
  if (node.named_child != 0) {
    return nodes_[node.named_child].level == level ? node.named_child : 0;
  }
  return edges_.find(edge_hash(parent, level), [&](std::uint32_t child) noexcept {
    return nodes_[child].parent == parent && nodes_[child].level == level;
  });
}

std::uint32_t FilterTree::add_child(std::uint32_t parent, std::string_view name) {
  if (name == "+") {
    return nodes_[parent].plus = nodes_.emplace(Node{.parent = parent});
  }
  const std::uint32_t level = levels_.acquire(name);
  const std::uint32_t child = nodes_.emplace(Node{.parent = parent, .level = level});
  Node& node = nodes_[parent];
  if (node.named_count++ == 0) {
    node.named_child = child;
    return child;
  }
  if (node.named_child != 0) {
    edges_.insert(edge_hash(parent, nodes_[node.named_child].level), node.named_child);
    node.named_child = 0;
  }
  edges_.insert(edge_hash(parent, level), child);
  return child;
}

void FilterTree::remove_leaf(std::uint32_t leaf) {
  const Node& gone = nodes_[leaf];
  Node& parent = nodes_[gone.parent];
  if (gone.level == 0) {
    parent.plus = 0;
  } else {
    --parent.named_count;
    if (parent.named_child == leaf) {
      parent.named_child = 0;
    } else {
      edges_.erase(edge_hash(gone.parent, gone.level), leaf);
    }
    levels_.release(gone.level);
  }
  nodes_.erase(leaf);
}

std::uint32_t& FilterTree::insert(std::string_view filter) {
  std::uint32_t node = root_;
  std::size_t depth = 0;
  for (LevelCutter cutter(filter); cutter.more();) {
    const std::string_view name = cutter.next();
    if (name == "#") {
      return nodes_[node].value_below;
    }
    ++depth;
    SKERRY_ASSERT(depth <= topic_levels_max);
    std::uint32_t child = name == "+" ? nodes_[node].plus : named_child(node, levels_.find(name));
    if (child == 0) {
      child = add_child(node, name);
    }
    node = child;
  }
  return nodes_[node].value;
}

FilterTree::Place FilterTree::locate(std::string_view filter) const noexcept {
  std::uint32_t node = root_;
  for (LevelCutter cutter(filter); cutter.more();) {
    const std::string_view name = cutter.next();
    if (name == "#") {
      return {node, true};
    }
    node = name == "+" ? nodes_[node].plus : named_child(node, levels_.find(name));
    if (node == 0) {
      return {};
    }
  }
  return {node, false};
}

std::uint32_t FilterTree::find(std::string_view filter) const noexcept {
  const Place place = locate(filter);
  if (place.node == 0) {
    return 0;
  }
  return place.below ? nodes_[place.node].value_below : nodes_[place.node].value;
}

std::uint32_t FilterTree::erase(std::string_view filter) {
  const Place place = locate(filter);
  if (place.node == 0) {
    return 0;
  }
  Node& end = nodes_[place.node];
  const std::uint32_t number = std::exchange(place.below ? end.value_below : end.value, 0);
  for (std::uint32_t node = place.node; node != root_;) {
    const Node& leaf = nodes_[node];
    if (leaf.value != 0 || leaf.value_below != 0 || leaf.plus != 0 || leaf.named_count != 0) {
      break;
    }
    const std::uint32_t parent = leaf.parent;
    remove_leaf(node);
    node = parent;
  }
  if (nodes_.size() == 1 && nodes_[root_].value_below == 0) {  // empty: give the memory back
    nodes_.clear();
    root_ = nodes_.emplace();
  }
  return number;
}

void FilterTree::append_path(std::uint32_t node, std::string& out) const {
  std::array<std::uint32_t, topic_levels_max> path;
  std::size_t count = 0;
  for (; node != root_; node = nodes_[node].parent) {
    path[count++] = nodes_[node].level;
  }
  while (count > 0) {
    const std::uint32_t level = path[--count];
    out += level == 0 ? "+" : levels_.name(level);
    if (count > 0) {
      out += '/';
    }
  }
}

}  // namespace skerry::routing
