// How a command ends when it cannot do its work. skerryctl is one edge from start to end, so errors
// travel as exceptions to program.cpp, which prints the sentence and leaves with the code.
#pragma once

#include <stdexcept>
#include <string>

namespace skerry::cli {

inline constexpr int exit_failure = 1;
inline constexpr int exit_usage = 2;

struct Failure : std::runtime_error {
  explicit Failure(const std::string& sentence, int code = exit_failure)
      : std::runtime_error(sentence), exit_code(code) {}
  int exit_code;
};

}  // namespace skerry::cli
