// Gates: operations that wait for commits and for answers of other cores. A gate passes when all it
// waits for has come; one failure makes the whole of it a failure.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/assert.hpp"
#include "base/strong_id.hpp"
#include "mqtt/packet.hpp"
#include "shard/mail.hpp"

namespace skerry::shard {

/// A message that is on its way into storage.
struct Publication {
  struct Target {
    CoreIndex core;
    Recipient recipient;
  };

  mqtt::BlockPtr block;
  StoredPtr stored;
  std::uint64_t publisher = 0;  ///< hash of the client, for No Local; 0 for the server itself
  std::uint64_t session = 0;    ///< of the publisher, 0 likewise
  DurableId packet_id_owner;    ///< persistent publisher at QoS 2, else 0
  mqtt::PacketId packet_id;
  std::vector<Target> targets;        ///< persistent recipients, all cores
  std::uint32_t answers_missing = 0;  ///< cores that have not said yet who matches there
  bool waits_for_keeper = false;      ///< one of them: it stores what is retained before
  std::uint64_t cores = 0;            ///< bit per other core with subscribers
  bool hold = false;                  ///< delivered only after the commit (QoS 2)
  std::uint64_t ticket = 0;           ///< of the batch that holds its record; 0: not written
};

struct Gate {
  enum class Purpose : std::uint8_t {
    acknowledgement,    ///< an answer of `session` waits
    outbound_stored,    ///< packet id of an outbound QoS 2 message
    released_stored,    ///< its release
    answer_other_core,  ///< `answer_gate` on `answer_core` waits for this one
    broker_message,     ///< whoever had the broker publish it
    will,               ///< its record
  };

  Purpose purpose = Purpose::acknowledgement;
  bool failed = false;
  bool ready = false;  ///< waits only for its turn behind earlier messages of its publisher
  std::uint32_t waiting = 0;
  std::uint64_t session = 0;
  mqtt::PacketId packet_id;
  CoreIndex answer_core;
  GateId answer_gate;
  std::unique_ptr<Publication> publication;
  std::vector<mail::RetainedQuery> queries;  ///< asked once every core knows the subscription
};

/// Gates of one core, in slots that are reused under new numbers: a late answer to a gate that is
/// gone finds nothing.
class GateTable {
 public:
  GateId add(Gate gate) {
    std::uint32_t slot = 0;
    if (free_.empty()) {
      slot = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    Slot& place = slots_[slot];
    ++place.generation;
    place.used = true;
    place.gate = std::move(gate);
    return GateId{(static_cast<std::uint64_t>(place.generation) << 32) | (slot + 1u)};
  }

  Gate* find(GateId id) noexcept {
    const auto slot = static_cast<std::uint32_t>(id.value & 0xffffffff);
    if (slot == 0 || slot > slots_.size()) {
      return nullptr;
    }
    Slot& place = slots_[slot - 1];
    const bool current = place.used && place.generation == id.value >> 32;
    return current ? &place.gate : nullptr;
  }

  /// Removes the gate and gives it out.
  Gate take(GateId id) {
    SKERRY_ASSERT(find(id) != nullptr);
    const auto slot = static_cast<std::uint32_t>(id.value & 0xffffffff) - 1;
    Slot& place = slots_[slot];
    Gate gate = std::move(place.gate);
    place.gate = Gate{};
    place.used = false;
    free_.push_back(slot);
    return gate;
  }

  std::size_t size() const noexcept { return slots_.size() - free_.size(); }

 private:
  struct Slot {
    Gate gate;
    std::uint32_t generation = 0;
    bool used = false;
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace skerry::shard
