// Failure: why something cryptographic did not work, as a sentence for a human. It never holds key
// material or what a peer sent.
#pragma once

#include <boost/assert/source_location.hpp>

#include "base/result.hpp"

namespace skerry::crypto {

struct Failure {
  const char* what = "";  ///< static storage
};

/// Asking a failed result for its value is our own bug: aborts.
[[noreturn]] void throw_exception_from_error(const Failure& failure,
                                             const boost::source_location& where);

}  // namespace skerry::crypto
