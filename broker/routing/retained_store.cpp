#include "routing/retained_store.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "mqtt/topic.hpp"

namespace skerry::routing {
namespace {

/// Per message: the node of the set and the local handle, as malloc rounds them.
constexpr std::size_t overhead_bytes = 48 + 32;

constexpr std::size_t visits_per_message = 16;

/// The smallest topic above `topic`; no topic has U+0000.
void set_after(std::string& from, std::string_view topic) {
  from.assign(topic);
  from.push_back('\0');
}

/// The smallest text above everything that begins with `prefix` and '/'. In byte order '0' follows
/// '/'.
void set_behind(std::string& from, std::string_view prefix) {
  from.assign(prefix);
  from.push_back('/' + 1);
}

/// `topic` is not matched by `filter`: sets `from` to a text above `topic` such that no topic
/// between them is matched either. The topics below a/b/ lie together, so one look at the level
/// where filter and topic part tells whether to leap to the wanted level or behind all of them.
void leap(std::string_view filter, std::string_view topic, std::string& from) {
  if (topic.front() == '$' && (filter.front() == '+' || filter.front() == '#')) {
    from.assign(1, '$' + 1);  // [MQTT-4.7.2-1]
    return;
  }
  std::size_t f = 0;
  std::size_t t = 0;
  for (;;) {  // both at the beginning of a level
    const std::size_t filter_end = std::min(filter.find('/', f), filter.size());
    const std::size_t topic_end = std::min(topic.find('/', t), topic.size());
    const std::string_view wanted = filter.substr(f, filter_end - f);
    if (wanted != "+" && wanted != topic.substr(t, topic_end - t)) {
      std::string target(topic.substr(0, t));
      target += wanted;
      if (topic < target) {
        from = std::move(target);  // the wanted level is still to come
      } else if (target += '/'; topic < target) {
        from = std::move(target);  // `topic` lies between a/b and a/b/…, as a/b! does
      } else if (t == 0) {
        from.clear();  // nothing above can match: no first level is left
      } else {
        set_behind(from, topic.substr(0, t - 1));
      }
      return;
    }
    if (topic_end == topic.size()) {
      set_after(from, topic);  // the topic is too short; longer ones may follow
      return;
    }
    if (filter_end == filter.size()) {
      set_behind(from, topic.substr(0, topic_end));  // it and all beside it are too long
      return;
    }
    f = filter_end + 1;
    t = topic_end + 1;
  }
}

}  // namespace

mqtt::MessagePtr RetainedStore::remove(Messages::iterator at) {
  mqtt::MessagePtr gone = *at;
  size_bytes_ -= gone->size_bytes() + overhead_bytes;
  messages_.erase(at);
  return gone;
}

mqtt::MessagePtr RetainedStore::set(mqtt::MessagePtr message) {
  SKERRY_ASSERT(static_cast<bool>(message));
  mqtt::MessagePtr replaced = erase(message->topic());
  size_bytes_ += message->size_bytes() + overhead_bytes;
  messages_.insert(std::move(message));
  return replaced;
}

mqtt::MessagePtr RetainedStore::erase(std::string_view topic) {
  const auto at = messages_.find(topic);
  return at == messages_.end() ? mqtt::MessagePtr{} : remove(at);
}

mqtt::MessagePtr RetainedStore::find(std::string_view topic) const {
  const auto at = messages_.find(topic);
  return at == messages_.end() ? mqtt::MessagePtr{} : *at;
}

std::vector<mqtt::MessagePtr> RetainedStore::match(std::string_view filter, Cursor& cursor,
                                                   std::size_t count_max, WallTime now,
                                                   std::size_t bytes_max) {
  SKERRY_ASSERT(count_max > 0);
  std::vector<mqtt::MessagePtr> found;
  std::size_t visits_left = count_max * visits_per_message;
  std::size_t bytes = 0;
  auto at = messages_.lower_bound(std::string_view(cursor.from_));
  while (!cursor.done_ && at != messages_.end() && visits_left-- > 0 && found.size() < count_max &&
         bytes < bytes_max) {
    const std::string_view topic = (*at)->topic();
    if (mqtt::matches(filter, topic)) {
      set_after(cursor.from_, topic);
      if ((*at)->expired(now)) {
        expired_.push_back(remove(at++));
      } else {
        bytes += (*at)->size_bytes();
        found.push_back(*at++);
      }
      continue;
    }
    leap(filter, topic, cursor.from_);
    cursor.done_ = cursor.from_.empty();
    ++at;  // mostly the next one is it, and that saves the search
    if (at != messages_.end() && (*at)->topic() < cursor.from_) {
      at = messages_.lower_bound(std::string_view(cursor.from_));
    }
  }
  cursor.done_ = cursor.done_ || at == messages_.end();
  return found;
}

void RetainedStore::sweep(std::size_t count_max, WallTime now) {
  auto at = messages_.lower_bound(std::string_view(sweep_from_));
  for (; count_max > 0 && at != messages_.end(); --count_max) {
    if ((*at)->expired(now)) {
      expired_.push_back(remove(at++));
    } else {
      ++at;
    }
  }
  sweep_from_.assign(at == messages_.end() ? std::string_view{} : (*at)->topic());
}

std::vector<mqtt::MessagePtr> RetainedStore::take_expired() {
  return std::exchange(expired_, {});
}

}  // namespace skerry::routing
