// The Link side of a connection: everything is handed to the core's Traffic.
#include "net/connection.hpp"

#include "net/admission.hpp"
#include "net/traffic.hpp"

namespace skerry::net {

Connection::Connection(Traffic& traffic, const Listener& listener,
                       std::unique_ptr<transport::Stream> stream, Place place)
    : traffic_(traffic),
      listener_(&listener),
      stream_(std::move(stream)),
      decoder_(static_cast<std::uint32_t>(connect_packet_bytes_max)),
      place_(std::move(place)),
      phase_(listener.tls ? Phase::handshake : Phase::connect) {}

Connection::~Connection() = default;

void Connection::output_changed() {
  traffic_.mark_dirty(*this);
}

std::size_t Connection::output_share(std::size_t cap) const noexcept {
  const OutputBudget* const budget = listener_->output.get();
  return budget == nullptr ? cap : budget->allowance(cap);
}

void Connection::close(session::CloseCause) {
  traffic_.begin_close(*this);
}

void Connection::pause_reading(bool paused) {
  traffic_.pause(*this, paused);
}

void Connection::expires_at(WallTime when) {
  traffic_.set_not_after(*this, when);
}

}  // namespace skerry::net
