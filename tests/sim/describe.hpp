// describe(): a packet as one line, for traces and for what tests compare.
#pragma once

#include <string>

#include "mqtt/packet.hpp"

namespace skerry::sim {

/// `PUBLISH a/b=payload q1 #3 dup retain id=7`.
std::string describe(const mqtt::Packet& packet);

}  // namespace skerry::sim
