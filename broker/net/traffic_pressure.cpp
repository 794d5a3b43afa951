// What Traffic does when memory is short: it counts what connections hold, gives less to those that
// hold much, and ends those that take nothing.
#include <algorithm>

#include "net/admission.hpp"
#include "net/traffic.hpp"

namespace skerry::net {

std::size_t Traffic::output_bytes_max(const Connection& connection) const noexcept {
  const std::size_t cap = limits_.output_bytes_max;
  const std::size_t share = connection.output_share(cap);
  return memory_ == nullptr ? share : std::min(share, memory_->allowance(cap, output_bytes_least));
}

void Traffic::count_memory(Connection& connection) noexcept {
  const std::size_t bytes = connection.output_.memory_bytes();
  connection.set_backlog_bytes(connection.output_.closed_bytes());
  if (bytes == connection.output_counted_) {
    return;
  }
  const std::size_t grown = bytes - connection.output_counted_;  // modulo 2^64, as all that adds it
  counters_.output_bytes.add(grown);
  if (OutputBudget* const budget = connection.listener_->output.get()) {
    budget->add(grown);
  }
  connection.output_counted_ = bytes;
}

void Traffic::forget_memory(Connection& connection) noexcept {
  counters_.output_bytes.subtract(connection.output_counted_);
  if (OutputBudget* const budget = connection.listener_->output.get()) {
    budget->subtract(connection.output_counted_);
  }
  counters_.input_bytes.subtract(connection.input_counted_);
  connection.output_counted_ = connection.input_counted_ = 0;
}

// False: the connection is being closed. A thousand half packets of two megabytes each would be as
// good a flood as any.
bool Traffic::may_keep_input(Connection& connection, Now now) {
  const auto kept = static_cast<std::uint32_t>(connection.decoder_.buffered_bytes());
  counters_.input_bytes.add(std::uint64_t{kept} - connection.input_counted_);
  connection.input_counted_ = kept;
  if (memory_ == nullptr ||
      kept <= memory_->allowance(limits_.packet_size_max, input_bytes_least)) {
    return true;
  }
  counters_.memory_refused[static_cast<int>(MemoryRefusal::packet)].add();
  violation(connection,
            {mqtt::Reason::quota_exceeded, "the server is short of memory for so large a packet"},
            now);
  return false;
}

// Whoever takes nothing would hold its share for good. O(connections), once a second at most.
void Traffic::end_slow_consumers(Now now) {
  if (memory_ == nullptr || !memory_->closes_doors() || now.steady < slow_consumers_at_) {
    return;
  }
  slow_consumers_at_ = now.steady + slow_consumer_interval;
  std::vector<Connection*> slow;
  for (std::uint32_t slot = 0; slot < table_.slot_count(); ++slot) {
    Connection* const connection = table_.at_slot(slot);
    if (connection != nullptr && connection->phase_ == Phase::attached &&
        connection->write_blocked_ && connection->unsent_bytes() > output_bytes_least &&
        connection->taken_at_ + slow_consumer_patience <= now.steady) {
      slow.push_back(connection);
    }
  }
  const std::size_t count = std::min(slow.size(), slow_consumers_ended_max);
  std::partial_sort(slow.begin(), slow.begin() + static_cast<std::ptrdiff_t>(count), slow.end(),
                    [](const Connection* left, const Connection* right) {
                      return left->unsent_bytes() > right->unsent_bytes();
                    });
  for (std::size_t i = 0; i < count; ++i) {
    Connection& connection = *slow[i];
    shard_.end_slow(connection.session_, now);
    connection.output_.clear();  // it would not have taken the last word either
    count_memory(connection);
  }
}

}  // namespace skerry::net
