// What a client hears while disk space is low.
#pragma once

namespace skerry::shard {

inline constexpr const char* space_is_low =
    "the server's disk is nearly full: what must be stored is refused for now";

}  // namespace skerry::shard
