// How a command ends when it cannot do its work. skerryctl is one edge from start to end, so errors
// travel as exceptions to program.cpp, which prints the sentence and leaves with the code.
#pragma once

#include <stdexcept>
#include <string>

namespace skerry::cli {

// What scripts may hold on to; cli/README.md lists them.
inline constexpr int exit_failure = 1;    ///< could not be done
inline constexpr int exit_usage = 2;      ///< the words make no sense; nothing was sent
inline constexpr int exit_not_found = 3;  ///< 404: there is no such thing
inline constexpr int exit_denied = 4;     ///< 401, 403: not logged in, or no right to it
inline constexpr int exit_conflict = 5;   ///< 409, 412, 428: something else is there or was faster
inline constexpr int exit_unreachable = 6;  ///< no server, or it broke off, or is not trusted

struct Failure : std::runtime_error {
  explicit Failure(const std::string& sentence, int code = exit_failure)
      : std::runtime_error(sentence), exit_code(code) {}
  int exit_code;
};

}  // namespace skerry::cli
