// TapChain: several message taps as one. Each looks at topics of its own; the first that does not
// say `not_mine` has decided.
#pragma once

#include <utility>
#include <vector>

#include "plugin/message_tap.hpp"

namespace skerry::plugin {

/// As thread-safe as its taps, which must outlive it.
class TapChain final : public MessageTap {
 public:
  explicit TapChain(std::vector<MessageTap*> taps) : taps_(std::move(taps)) {}

  TapResult on_publish(const Identity& publisher, const mqtt::Publish& publish, Now now,
                       storage::Batch& batch) override {
    for (MessageTap* tap : taps_) {
      const TapResult result = tap->on_publish(publisher, publish, now, batch);
      if (result.verdict != TapVerdict::not_mine) {
        return result;
      }
    }
    return {};
  }

 private:
  std::vector<MessageTap*> taps_;
};

}  // namespace skerry::plugin
