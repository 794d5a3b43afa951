// Refusal: why somebody gets no certificate, in the words of both ways to ask for one: status, code
// and seconds for HTTP, code and sentence for MQTT.
#pragma once

#include <boost/assert/source_location.hpp>
#include <chrono>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace skerry::auth {

struct Refusal {
  int status = 403;
  const char* code = "";  ///< stable, in snake_case; static storage
  std::string what;       ///< a sentence for a human
  std::optional<std::chrono::seconds> retry_after = {};
};

/// Asking a refused result for its value is our own bug: aborts.
[[noreturn]] void throw_exception_from_error(const Refusal& refusal,
                                             const boost::source_location& where);

}  // namespace skerry::auth
