// GateId: names something that must have happened (a commit, answers from other cores) before an
// acknowledgement may leave. Sessions only carry it; the shard opens gates.
#pragma once

#include <cstdint>

#include "base/strong_id.hpp"

namespace skerry::session {

/// 0: nothing to wait for.
using GateId = StrongId<struct GateIdTag, std::uint64_t>;

/// How a gate opened.
enum class GateResult : std::uint8_t {
  passed,
  failed,  ///< storage failed: the peer hears Quota exceeded, or is disconnected in 3.1.1
};

}  // namespace skerry::session
