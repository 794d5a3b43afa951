#include "sim/rights.hpp"

#include <charconv>

#include "base/byte_order.hpp"
#include "base/bytes.hpp"

namespace skerry::sim {

std::uint32_t client_index(std::string_view name) noexcept {
  std::uint32_t index = 0;
  std::from_chars(name.data() + 1, name.data() + name.size(), index);
  return index;
}

MessageNumber message_in(std::string_view payload) noexcept {
  MessageNumber number = 0;
  std::from_chars(payload.data(), payload.data() + payload.size(), number);
  return number;
}

std::string tap_key(MessageNumber message) {
  std::string key = std::to_string(message);
  return key + ".";
}

plugin::Decision Rights::decide(const plugin::Identity& identity, plugin::Action action,
                                std::string_view topic) const {
  using plugin::Verdict;
  if (action == plugin::Action::publish) {
    return {topic == topics[forbidden_topic] ? Verdict::deny : Verdict::allow, "d"};
  }
  const bool denied = topics_denied[client_index(identity.name)];
  const bool concerned = topic.starts_with("p/");
  if (action == plugin::Action::receive) {
    return {denied && concerned ? Verdict::deny : Verdict::allow, "p"};
  }
  if (denied && concerned) {
    return {Verdict::deny, "p"};
  }
  const bool reaches = concerned || topic.starts_with("#") || topic.starts_with("+");
  return {denied && reaches ? Verdict::allow : Verdict::allow_and_covers, "p"};
}

plugin::TapResult Tap::on_publish(const plugin::Identity&, const mqtt::Publish& publish, Now,
                                  storage::Batch& batch) {
  using plugin::TapVerdict;
  if (!publish.topic.starts_with("t/")) {
    return {};
  }
  const MessageNumber number = message_in(as_text(publish.payload));
  const std::uint64_t die = random_.below(100);
  // An empty payload bears no number, so a 3.1.1 client that is told nothing of its rejection
  // [MQTT-3.3.5-2 of 3.1.1] would count its retained message as removed: these are not rejected.
  if (!calm && swarm_.has(Feature::tap_rejects) && number != 0 && die < 20) {
    history_[number].untold = history_[number].refused_once = true;
    return {TapVerdict::rejected, "the tap does not like it"};
  }
  if (!calm && swarm_.has(Feature::tap_busy) && die < 40) {
    history_[number].refused_once = true;
    return {TapVerdict::busy, "the tap is busy"};
  }
  history_[number].untold = false;
  if (swarm_.has(Feature::tap_stores) && number != 0) {
    batch.put(storage::Family::series_log, tap_key(number) + std::to_string(++writes_), "row");
    return {TapVerdict::stored, ""};
  }
  return {};
}

}  // namespace skerry::sim
