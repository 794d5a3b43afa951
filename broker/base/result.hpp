// Result<T, E>: a value or the reason why there is none. Peer, storage and parse errors travel this
// way; exceptions are kept for configuration and for the edges of plugins.
#pragma once

#include <boost/system/result.hpp>

namespace skerry {

template <typename T, typename E>
using Result = boost::system::result<T, E>;

}  // namespace skerry
