// Lobby: everybody of one core who is connected and has not been let in yet, by address. It decides
// whose TLS handshake goes on next, and who must leave when there is no room. No I/O and no clock
// of its own: connections are slots of the ConnectionTable, time is an argument.
//
//   enter() → quiet: the peer is to speak ⇄ line_up() / call() ⇄ in line: our processor is to work
//   leave() from anywhere, any number of times
//
// Addresses are served in turn, and within one who came first: thousands who come back at once wait
// for each other, and for nobody behind another address do they add more than one turn.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/now.hpp"
#include "base/ring.hpp"

namespace skerry::net {

class Lobby {
 public:
  struct Options {
    std::size_t places_max = 0;      ///< who has not been let in, handshake or not
    std::size_t handshakes_max = 0;  ///< handshakes begun and not ended: each holds some 40 kB
    Milliseconds stall_min{1'000};   ///< a begun handshake gives way when silent for so long
  };
  explicit Lobby(Options options) : options_(options) {}

  using Slot = std::uint32_t;

  /// A new connection that is to speak first. `address`: a hash. Not when it is in already.
  void enter(Slot slot, std::uint64_t address);

  /// The peer has sent what needs our work. Once in line a second call does nothing.
  void line_up(Slot slot);

  /// Takes the next one out of the line; it is quiet then. Those whose handshake has begun come
  /// before others of their address. nullopt when nobody waits, or when all who wait would begin
  /// one handshake too many; see stalled().
  std::optional<Slot> call(SteadyTime now);

  /// The handshake of `slot` has begun or ended.
  void handshake_begun(Slot slot, SteadyTime now);
  void handshake_ended(Slot slot) noexcept;

  /// Who should be cut so that the line moves on: the begun handshake that is silent for longest,
  /// when there may be no more of them and it has been so for stall_min.
  std::optional<Slot> stalled(SteadyTime now) const noexcept;

  /// Let in, closed or moved. Nothing happens when it is not here.
  void leave(Slot slot) noexcept;

  bool full() const noexcept { return size_ >= options_.places_max; }

  /// Who should give way to somebody new of `address`: of the address with most places the one that
  /// is silent for longest, or else the last in its line. nullopt when the newcomer should: nobody
  /// has more places than its own address, and all there wait for us. O(log addresses).
  std::optional<Slot> victim(std::uint64_t address) const;

  std::size_t size() const noexcept { return size_; }
  std::size_t in_line() const noexcept { return in_line_; }
  /// Would call() find somebody? O(1).
  bool may_call() const noexcept {
    return begun_in_line_ > 0 || (in_line_ > 0 && handshakes_ < options_.handshakes_max);
  }
  std::size_t handshakes() const noexcept { return handshakes_; }
  bool has_begun(Slot slot) const noexcept { return nodes_.has(slot) && nodes_[slot].begun; }
  bool is_in_line(Slot slot) const noexcept { return nodes_.has(slot) && nodes_[slot].in_line; }

 private:
  static constexpr std::uint32_t none = UINT32_MAX;

  // Lists run through the nodes: by address (quiet or line) and, over all, begun and quiet.
  struct Links {
    std::uint32_t before = none;
    std::uint32_t behind = none;
  };
  struct List {
    std::uint32_t first = none;
    std::uint32_t last = none;
  };
  enum Through : std::uint8_t { by_address, by_silence };
  struct Node {
    Links links[2];
    std::uint32_t group = none;  // none: not here
    bool in_line = false;
    bool begun = false;
    SteadyTime silent_since{};
  };
  struct Group {  // one address
    std::uint64_t address = 0;
    List quiet;
    List fresh;  // in line, handshake not begun
    List begun;  // in line, handshake begun
    std::uint32_t size = 0;
    bool in_turn = false;
  };

  /// Nodes by slot, in blocks that are there as long as one of their slots is: connections that
  /// have been let in long ago, which are nearly all, cost nothing here.
  class Nodes {
   public:
    bool has(Slot slot) const noexcept {
      return slot / size < blocks_.size() && blocks_[slot / size] != nullptr;
    }
    Node& operator[](Slot slot) noexcept { return blocks_[slot / size]->nodes[slot % size]; }
    const Node& operator[](Slot slot) const noexcept {
      return blocks_[slot / size]->nodes[slot % size];
    }
    void add(Slot slot) {
      if (slot / size >= blocks_.size()) {
        blocks_.resize(slot / size + 1);
      }
      if (!has(slot)) {
        blocks_[slot / size] = std::make_unique<Block>();
      }
      ++blocks_[slot / size]->used;
    }
    void remove(Slot slot) noexcept {
      if (--blocks_[slot / size]->used == 0) {
        blocks_[slot / size].reset();
      } else {
        (*this)[slot] = Node{};
      }
    }

   private:
    static constexpr std::uint32_t size = 64;
    struct Block {
      std::array<Node, size> nodes;
      std::uint32_t used = 0;
    };
    std::vector<std::unique_ptr<Block>> blocks_;
  };

  void push(List& list, Through through, Slot slot) noexcept;
  void take(List& list, Through through, Slot slot) noexcept;
  List& list_of(const Node& node) noexcept;
  std::uint32_t group_of(std::uint64_t address);
  void resize(std::uint32_t group, std::uint32_t size);
  void silence(Slot slot, SteadyTime now) noexcept;
  void end_silence(Slot slot) noexcept;
  Slot call_from(Group& group) noexcept;
  bool may_call(const Group& group) const noexcept;

  Options options_;
  Nodes nodes_;
  std::vector<Group> groups_;
  std::vector<std::uint32_t> free_groups_;
  std::unordered_map<std::uint64_t, std::uint32_t> index_;
  std::set<std::pair<std::uint32_t, std::uint32_t>> by_size_;
  Ring<std::uint32_t> turn_;  // groups with somebody in line
  List silent_;
  std::size_t size_ = 0;
  std::size_t in_line_ = 0;
  std::size_t begun_in_line_ = 0;
  std::size_t handshakes_ = 0;
};

}  // namespace skerry::net
