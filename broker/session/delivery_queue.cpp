#include "session/delivery_queue.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/assert.hpp"

namespace skerry::session {
namespace {

/// Messages that one call of page_out() lets go.
constexpr std::size_t pages_per_call = 4096;

bool is_pending(const Delivery& delivery) noexcept {
  return delivery.stored && delivery.group_core == no_core &&
         delivery.stored->state.load(std::memory_order_acquire) == Stored::State::pending;
}

Paged paged_of(Delivery& delivery) {
  Paged paged{.stored = nullptr,
              .id = delivery.stored->id,
              .size_bytes = static_cast<std::uint32_t>(delivery.message->size_bytes()),
              .expires_seconds = expires_seconds_of(*delivery.message),
              .qos = delivery.qos};
  if (delivery.stored->recipients.size() > 1) {
    paged.stored = std::move(delivery.stored);
  }
  return paged;
}

}  // namespace

std::uint32_t expires_seconds_of(const mqtt::MessageBlock& block) noexcept {
  if (block.expires_at() == WallTime::max()) {
    return 0;
  }
  const std::int64_t seconds = epoch_milliseconds(block.expires_at()) / 1000 + 1;
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(seconds, 1, std::numeric_limits<std::uint32_t>::max()));
}

StoredPtr make_stored(MessageId id, DurableId recipient) {
  auto stored = std::make_shared<Stored>();
  stored->id = id;
  stored->recipients.push_back(recipient);
  stored->remaining.store(1, std::memory_order_relaxed);
  stored->state.store(Stored::State::committed, std::memory_order_release);
  return stored;
}

bool may_leave_memory(const Delivery& delivery) noexcept {
  return delivery.message && delivery.stored && delivery.group_core == no_core &&
         delivery.stored->state.load(std::memory_order_acquire) == Stored::State::committed;
}

void DeliveryQueue::count_in(std::size_t bytes, bool resident) noexcept {
  ++count_;
  bytes_ += bytes;
  usage_.messages.add();
  usage_.bytes.add(bytes);
  if (resident) {
    resident_bytes_ += bytes;
    usage_.resident_bytes.add(bytes);
  }
}

void DeliveryQueue::count_out(std::size_t bytes, bool resident) noexcept {
  SKERRY_ASSERT(count_ > 0 && bytes_ >= bytes);
  --count_;
  bytes_ -= bytes;
  usage_.messages.subtract();
  usage_.bytes.subtract(bytes);
  if (resident) {
    count_paged(bytes);
  }
}

void DeliveryQueue::count_paged(std::size_t bytes) noexcept {
  resident_bytes_ -= bytes;
  usage_.resident_bytes.subtract(bytes);
}

void DeliveryQueue::clear() {
  usage_.messages.subtract(count_);
  usage_.bytes.subtract(bytes_);
  usage_.resident_bytes.subtract(resident_bytes_);
  count_ = bytes_ = resident_bytes_ = 0;
  head_.reset();
  part_.reset();
}

DeliveryQueue::Part& DeliveryQueue::part() {
  if (part_ == nullptr) {
    part_ = std::make_unique<Part>();
  }
  return *part_;
}

// What is in memory at the front of the middle belongs to the head, and so does the tail when no
// middle is left.
void DeliveryQueue::settle() {
  if (part_ == nullptr) {
    return;
  }
  while (!part_->paged.empty() && part_->paged.front().in_memory) {
    head_.push_back(std::move(part_->in_between.front()));
    part_->in_between.pop_front();
    part_->paged.pop_front();
  }
  if (!part_->paged.empty()) {
    return;
  }
  if (head_.empty()) {
    std::swap(head_, part_->tail);
  } else {
    for (; !part_->tail.empty(); part_->tail.pop_front()) {
      head_.push_back(std::move(part_->tail.front()));
    }
  }
  part_.reset();
}

bool DeliveryQueue::oldest_expired(WallTime now) const noexcept {
  if (!head_.empty()) {
    return head_[0].message->expired(now);
  }
  if (!has_paged()) {
    return false;
  }
  const std::uint32_t expires = part_->paged.front().expires_seconds;
  return expires != 0 && epoch_milliseconds(now) / 1000 >= expires;
}

bool DeliveryQueue::runs_low(std::size_t count, std::size_t bytes) const noexcept {
  if (head_.size() >= count) {
    return false;
  }
  std::size_t held = 0;
  for (std::size_t i = 0; i < head_.size(); ++i) {
    held += head_[i].message->size_bytes();
  }
  return held < bytes;
}

void DeliveryQueue::push_back(Delivery delivery) {
  SKERRY_ASSERT(delivery.message);
  count_in(delivery.message->size_bytes(), true);
  (part_ == nullptr ? head_ : part_->tail).push_back(std::move(delivery));
}

Delivery DeliveryQueue::pop_front() {
  SKERRY_ASSERT(!head_.empty());
  Delivery front = std::move(head_.front());
  head_.pop_front();
  count_out(front.message->size_bytes(), true);
  return front;
}

Delivery DeliveryQueue::take_oldest(DurableId owner) {
  if (!head_.empty()) {
    return pop_front();
  }
  SKERRY_ASSERT(part_ != nullptr && !part_->paged.empty());
  const MessageId oldest = part_->paged.front().id;
  Delivery gone;
  const bool taken = give_up(oldest, owner, gone);
  SKERRY_ASSERT(taken);
  return gone;
}

// Before what is paged already; in the reverse order, since each goes to the front.
void DeliveryQueue::page_head() {
  for (std::size_t i = head_.size(); i-- > 0;) {
    Delivery& delivery = head_[i];
    if (may_leave_memory(delivery)) {
      count_paged(delivery.message->size_bytes());
      part_->paged.push_front(paged_of(delivery));
    } else {
      part_->in_between.push_front(std::move(delivery));
      part_->paged.push_front({.in_memory = true});
    }
  }
  head_.reset();
}

bool DeliveryQueue::page_out(std::size_t keep_count, std::size_t keep_bytes) {
  if (part_ != nullptr && keep_count == 0) {
    page_head();
  } else if (part_ == nullptr) {
    std::size_t kept = 0;
    for (std::size_t bytes = 0; kept < head_.size() && kept < keep_count; ++kept) {
      bytes += head_[kept].message->size_bytes();
      if (bytes > keep_bytes) {
        break;
      }
    }
    if (kept == head_.size()) {
      return false;
    }
    if (is_pending(head_[kept])) {
      return true;
    }
    Ring<Delivery> front;
    for (; kept > 0; --kept) {
      front.push_back(std::move(head_.front()));
      head_.pop_front();
    }
    std::swap(part().tail, head_);
    std::swap(head_, front);
  }
  Ring<Delivery>& tail = part_->tail;
  bool again = false;
  for (std::size_t budget = pages_per_call; !tail.empty(); tail.pop_front()) {
    Delivery& delivery = tail.front();
    again = is_pending(delivery) || budget-- == 0;
    if (again) {
      break;
    }
    if (may_leave_memory(delivery)) {
      count_paged(delivery.message->size_bytes());
      part_->paged.push_back(paged_of(delivery));
    } else {
      part_->in_between.push_back(std::move(delivery));
      part_->paged.push_back({.in_memory = true});
    }
  }
  settle();
  return again;
}

void DeliveryQueue::append_wanted(std::size_t count_max, std::size_t bytes_max,
                                  std::vector<MessageId>& ids) const {
  if (part_ == nullptr) {
    return;
  }
  std::size_t bytes = 0;
  for (const Paged& paged : part_->paged) {
    bytes += paged.size_bytes;
    if (count_max-- == 0 || (bytes > bytes_max && !ids.empty())) {
      return;
    }
    if (!paged.in_memory) {
      ids.push_back(paged.id);
    }
  }
}

bool DeliveryQueue::take_back(MessageId id, Delivery delivery) {
  if (!has_paged() || part_->paged.front().id != id) {
    return false;
  }
  Paged& paged = part_->paged.front();
  delivery.stored = paged.stored ? std::move(paged.stored) : make_stored(id, delivery.recipient);
  count_out(paged.size_bytes, false);
  part_->paged.pop_front();
  count_in(delivery.message->size_bytes(), true);
  head_.push_back(std::move(delivery));
  settle();
  return true;
}

bool DeliveryQueue::give_up(MessageId id, DurableId owner, Delivery& gone) {
  if (!has_paged() || part_->paged.front().id != id) {
    return false;
  }
  Paged& paged = part_->paged.front();
  gone.stored = paged.stored ? std::move(paged.stored) : make_stored(id, owner);
  gone.recipient = owner;
  gone.qos = paged.qos;
  count_out(paged.size_bytes, false);
  part_->paged.pop_front();
  settle();
  return true;
}

void DeliveryQueue::erase_if(const std::function<bool(Delivery&)>& dead) {
  const auto erase = [&](Delivery& delivery) {
    const std::size_t bytes = delivery.message->size_bytes();
    if (!dead(delivery)) {
      return false;
    }
    count_out(bytes, true);
    return true;
  };
  head_.erase_if(erase);
  if (part_ == nullptr) {
    return;
  }
  Ring<Delivery> kept;
  std::erase_if(part_->paged, [&](const Paged& paged) {
    if (!paged.in_memory) {
      return false;
    }
    Delivery& delivery = part_->in_between.front();
    const bool gone = erase(delivery);
    if (!gone) {
      kept.push_back(std::move(delivery));
    }
    part_->in_between.pop_front();
    return gone;
  });
  std::swap(part_->in_between, kept);
  part_->tail.erase_if(erase);
  settle();
}

Ring<Delivery> DeliveryQueue::take_resident() {
  Ring<Delivery> taken;
  erase_if([&](Delivery& delivery) {
    taken.push_back(std::move(delivery));
    return true;
  });
  return taken;
}

std::deque<Paged> DeliveryQueue::take_paged() {
  std::deque<Paged> taken;
  if (part_ != nullptr) {
    taken.swap(part_->paged);
    std::erase_if(taken, [](const Paged& paged) { return paged.in_memory; });
  }
  clear();
  return taken;
}

void DeliveryQueue::restore(Paged paged) {
  count_in(paged.size_bytes, false);
  part().paged.push_back(std::move(paged));
}

void DeliveryQueue::remove_restored(const std::set<std::uint64_t>& message_ids) {
  if (part_ == nullptr) {
    return;
  }
  std::erase_if(part_->paged, [&](const Paged& paged) {
    const bool gone = message_ids.contains(paged.id.value);
    if (gone) {
      count_out(paged.size_bytes, false);
    }
    return gone;
  });
  settle();
}

std::vector<Paged> DeliveryQueue::take_restored_twice(MessageId newest) {
  std::vector<Paged> taken;
  if (part_ == nullptr) {
    return taken;
  }
  std::erase_if(part_->paged, [&](Paged& paged) {
    if (paged.qos != mqtt::Qos::exactly_once || paged.id > newest) {
      return false;
    }
    count_out(paged.size_bytes, false);
    taken.push_back(std::move(paged));
    return true;
  });
  settle();
  return taken;
}

}  // namespace skerry::session
