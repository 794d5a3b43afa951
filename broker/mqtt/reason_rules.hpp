// Which reason code may stand in which packet (table 2-6). Internal to this folder.
#pragma once

#include <cstdint>

#include "mqtt/packet.hpp"
#include "mqtt/reason.hpp"

namespace skerry::mqtt {

/// Table 2-6, and for DISCONNECT and AUTH the columns "Sent by" of tables 3-10 and 3-11.
bool reason_may_stand_in(PacketType type, std::uint8_t code, bool sent_by_client) noexcept;

/// What the CONNACK return code of 3.1 and 3.1.1 means; `code` is 0 … 5.
Reason reason_of_return_code(std::uint8_t code) noexcept;

}  // namespace skerry::mqtt
