// TopicTrie<T>: topic filters and what belongs to each, found by the topics that they match. The
// hottest structure of the broker: every PUBLISH asks it. See filter_tree.hpp for how it is built.
// It knows nothing of `$share`: the caller cuts that off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/keyed_hash.hpp"
#include "routing/filter_tree.hpp"
#include "routing/slab.hpp"

namespace skerry::routing {

/// Belongs to one core. References to a T live until its filter is erased.
template <typename T>
class TopicTrie {
 public:
  /// `key` is random: level names are chosen by peers who may be hostile.
  explicit TopicTrie(HashKey key) : tree_(key) {}

  /// The T of `filter`, default-constructed when the filter is new. `filter` is valid
  /// (mqtt::is_valid_topic_filter) and not `$share/…`. O(length).
  T& insert(std::string_view filter) {
    std::uint32_t& number = tree_.insert(filter);
    if (number == 0) {
      number = values_.emplace();
      ++version_;
    }
    return values_[number];
  }

  /// The T of exactly this filter, or null. O(length), no allocation.
  T* find(std::string_view filter) noexcept {
    const std::uint32_t number = tree_.find(filter);
    return number == 0 ? nullptr : &values_[number];
  }
  const T* find(std::string_view filter) const noexcept {
    const std::uint32_t number = tree_.find(filter);
    return number == 0 ? nullptr : &values_[number];
  }

  /// Removes the filter with its T and every branch that has become empty; false: it was not here.
  bool erase(std::string_view filter) {
    const std::uint32_t number = tree_.erase(filter);
    if (number != 0) {
      values_.erase(number);
      ++version_;
    }
    return number != 0;
  }

  /// Grows whenever a filter is new or goes: as long as it stays, a topic matches the same.
  std::uint64_t version() const noexcept { return version_; }

  std::size_t size() const noexcept { return values_.size(); }
  bool empty() const noexcept { return size() == 0; }

  /// Nodes of the tree beside the root: 0 when it is empty.
  std::size_t node_count() const noexcept { return tree_.node_count(); }

  /// Calls visit(T&) for each filter that matches `topic` by the rules of section 4.7, each once,
  /// in no particular order. `visit` must not insert or erase. Answers how many nodes were looked
  /// at: never more than node_count() + 1. No allocation.
  template <typename Visitor>
  std::size_t match(std::string_view topic, Visitor&& visit) {
    return tree_.match(topic, [&](std::uint32_t number) { visit(values_[number]); });
  }
  template <typename Visitor>
  std::size_t match(std::string_view topic, Visitor&& visit) const {
    return tree_.match(topic, [&](std::uint32_t number) { visit(values_[number]); });
  }

  /// Calls visit(filter, T&) for all, in no particular order. `visit` must not insert or erase; the
  /// view lives during the call. O(nodes).
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    tree_.for_each(
        [&](std::string_view filter, std::uint32_t number) { visit(filter, values_[number]); });
  }
  template <typename Visitor>
  void for_each(Visitor&& visit) const {
    tree_.for_each(
        [&](std::string_view filter, std::uint32_t number) { visit(filter, values_[number]); });
  }

 private:
  FilterTree tree_;
  Slab<T> values_;
  std::uint64_t version_ = 1;
};

}  // namespace skerry::routing
