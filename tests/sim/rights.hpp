// Rights: who may be here and what may be received, as the registry and the policies of a server
// would say it, and a tap that takes, refuses or puts off messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plugin/authorizer.hpp"
#include "plugin/message_tap.hpp"
#include "plugin/standing.hpp"
#include "sim/history.hpp"
#include "sim/swarm.hpp"

namespace skerry::sim {

/// Index of a client by its name ("c3"); `clients` and more are those of the world itself.
std::uint32_t client_index(std::string_view name) noexcept;

class Rights final : public plugin::Authorizer {
 public:
  explicit Rights(std::uint32_t clients) : standing(clients + 2), topics_denied(clients + 2) {}

  plugin::Decision decide(const plugin::Identity& identity, plugin::Action action,
                          std::string_view topic) const override;
  std::uint64_t epoch() const noexcept override { return epoch_; }
  plugin::Standing standing_of(const plugin::Identity& identity) const {
    return {.state = standing[client_index(identity.name)]};
  }
  // Taken away: some core may not have judged it yet.
  bool ended(std::uint32_t client) const {
    return standing[client] != plugin::Standing::State::valid;
  }
  bool ended(std::uint32_t client, FilterIndex filter) const {
    return ended(client) || (topics_denied[client] && filters[filter].starts_with("p/"));
  }
  void deny_topics(std::uint32_t client, bool denied) {
    topics_denied[client] = denied;
    ++epoch_;
  }

  std::vector<plugin::Standing::State> standing;
  std::vector<bool> topics_denied;  ///< `p/#`

 private:
  std::uint64_t epoch_ = 1;
};

class Tap final : public plugin::MessageTap {
 public:
  Tap(const Swarm& swarm, History& history, Random& random)
      : swarm_(swarm), history_(history), random_(random) {}

  plugin::TapResult on_publish(const plugin::Identity& publisher, const mqtt::Publish& publish,
                               Now now, storage::Batch& batch) override;

  bool calm = false;  ///< refuses nothing any more

 private:
  const Swarm& swarm_;
  History& history_;
  Random& random_;
  std::uint64_t writes_ = 0;
};

/// Key prefix of what the tap has stored for a message.
std::string tap_key(MessageNumber message);
MessageNumber message_in(std::string_view payload) noexcept;

}  // namespace skerry::sim
