// DeliveryQueue: what waits for one client, oldest first. Of a long queue only the front and what
// is not stored yet are in memory; of the middle there are numbers and sizes, 40 bytes a message,
// and the messages are read back from disk before their turn comes (docs/adr/0019).
//
//   head_ (in memory) | paged (on disk, here and there one that is not) | tail (in memory)
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "base/counters.hpp"
#include "base/ring.hpp"
#include "session/delivery.hpp"

namespace skerry::session {

/// A message that is on disk alone; its only recipient here is the session itself.
struct Paged {
  StoredPtr stored;  ///< null: nobody else is a recipient of it
  MessageId id;
  std::uint32_t size_bytes = 0;
  std::uint32_t expires_seconds = 0;  ///< of the epoch, rounded up; 0: never
  mqtt::Qos qos = mqtt::Qos::at_least_once;
  bool in_memory = false;  ///< stands for the next delivery that could not leave memory
};

/// When a message expires, as Paged says it.
std::uint32_t expires_seconds_of(const mqtt::MessageBlock& block) noexcept;

/// The shared record of a message that only `recipient` waits for, made anew.
StoredPtr make_stored(MessageId id, DurableId recipient);

/// Can the message be read back, so that memory need not hold it?
bool may_leave_memory(const Delivery& delivery) noexcept;

/// Belongs to one session.
class DeliveryQueue {
 public:
  /// `usage` sums up all queues of a core and must outlive them.
  explicit DeliveryQueue(QueueUsage& usage) noexcept : usage_(usage) {}
  DeliveryQueue(const DeliveryQueue&) = delete;
  DeliveryQueue& operator=(const DeliveryQueue&) = delete;
  ~DeliveryQueue() { clear(); }

  bool empty() const noexcept { return count_ == 0; }
  std::size_t size() const noexcept { return count_; }
  /// Bytes of the messages, wherever they are.
  std::size_t size_bytes() const noexcept { return bytes_; }
  /// Bytes of those in memory.
  std::size_t resident_bytes() const noexcept { return resident_bytes_; }
  /// Has the oldest expired, wherever it is? False when the queue is empty.
  bool oldest_expired(WallTime now) const noexcept;
  /// Less than this is in memory at the front.
  bool runs_low(std::size_t count, std::size_t bytes) const noexcept;
  bool has_paged() const noexcept { return part_ != nullptr && !part_->paged.empty(); }

  /// `delivery.message` is set.
  void push_back(Delivery delivery);

  /// The oldest; null when the queue is empty or the oldest is not in memory.
  Delivery* front() noexcept { return head_.empty() ? nullptr : &head_.front(); }
  /// front() must not be null.
  Delivery pop_front();
  /// Takes the oldest wherever it is: without its message when that is on disk. The queue belongs
  /// to `owner` and is not empty.
  Delivery take_oldest(DurableId owner);

  /// Lets go of stored messages in memory but for `keep_count` at the front, and those with no more
  /// than `keep_bytes`. True: something is not stored yet, or the work of one call was done: call
  /// again later. O(messages that go).
  bool page_out(std::size_t keep_count, std::size_t keep_bytes);

  /// Appends the numbers of the next messages that must be read, at most `count_max` with no more
  /// than about `bytes_max`.
  void append_wanted(std::size_t count_max, std::size_t bytes_max,
                     std::vector<MessageId>& ids) const;
  /// The oldest that is not in memory has been read; false: that is another by now.
  bool take_back(MessageId id, Delivery delivery);
  /// The same, when it could not be read: it is taken out.
  bool give_up(MessageId id, DurableId owner, Delivery& gone);

  /// Takes out all that `dead` says of those in memory; it may move from what it is shown.
  void erase_if(const std::function<bool(Delivery&)>& dead);
  /// Takes out all in memory; what is left is paged.
  Ring<Delivery> take_resident();
  std::deque<Paged> take_paged();

  // At start, before anything else.
  void restore(Paged paged);
  void remove_restored(const std::set<std::uint64_t>& message_ids);
  /// Takes out those at QoS 2 that are not newer than `newest`.
  std::vector<Paged> take_restored_twice(MessageId newest);

 private:
  struct Part {
    std::deque<Paged> paged;
    Ring<Delivery> in_between;  ///< those that Paged::in_memory stands for
    Ring<Delivery> tail;
  };

  Part& part();
  void settle();
  void page_head();
  void count_in(std::size_t bytes, bool resident) noexcept;
  void count_out(std::size_t bytes, bool resident) noexcept;
  void count_paged(std::size_t bytes) noexcept;
  void clear();

  QueueUsage& usage_;
  Ring<Delivery> head_;
  std::unique_ptr<Part> part_;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
  std::size_t resident_bytes_ = 0;
};

}  // namespace skerry::session
