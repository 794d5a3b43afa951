// PublishPath: what was found for the topic that a client published to last: that it may, and which
// filters match. Most clients stay with one topic, and then neither the authorizer nor the trie is
// asked again until a policy, the client's rights or the set of filters changes. And InFlow, the
// message on its way.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "session/session.hpp"
#include "shard/records.hpp"

namespace skerry::shard {

struct FilterEntry;

/// Which other cores have subscribers of a filter: a bit per core.
struct Interests {
  std::uint64_t cores = 0;
  std::uint64_t durable = 0;
};

struct PublishPath final : session::PublishPath {
  /// Longer topics, and those that more filters match, are looked up each time.
  static constexpr std::size_t topic_bytes_max = 256;
  static constexpr std::size_t entries_max = 16;

  std::uint64_t allowed_at_epoch = 0;   ///< of the policies; 0: ask
  std::uint64_t filters_version = 0;    ///< of the trie that `entries` come from; 0: look
  std::uint64_t interests_version = 0;  ///< the same of `elsewhere`
  Interests elsewhere;
  std::vector<FilterEntry*> entries;

  /// That of `from` for `topic`, which may know nothing yet; null when none is kept.
  static PublishPath* of(session::Session& from, std::string_view topic) {
    if (topic.size() > topic_bytes_max) {
      return nullptr;
    }
    auto* path = static_cast<PublishPath*>(from.publish_path.get());
    if (path == nullptr) {
      auto made = std::make_unique<PublishPath>();
      path = made.get();
      from.publish_path = std::move(made);
    }
    if (path->topic != topic) {
      path->topic = topic;
      path->allowed_at_epoch = path->filters_version = path->interests_version = 0;
    }
    return path;
  }

  void keep(FilterEntry& entry) {
    if (!overflows()) {
      entries.push_back(&entry);
    }
  }
  /// More match than are kept.
  bool overflows() const noexcept { return entries.size() > entries_max; }
};

/// A message as it goes through this core: shown by views, made into a block when somebody keeps
/// it.
struct InFlow {
  const mqtt::Publish& publish;
  std::uint64_t publisher = 0;  ///< hash of the client for No Local, 0 for the server
  mqtt::BlockPtr block;         ///< null until needed
  mqtt::MessagePtr message;     ///< this core's handle on it
  StoredPtr stored;             ///< null when it is not stored for anybody
  PublishPath* path = nullptr;  ///< of the publisher; null: match the topic
};

}  // namespace skerry::shard
