// The words of the command line.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace skerry::cli {

/// Runs one command with the words behind the program's name and gives the exit code of
/// failure.hpp. Errors go to `err` as one sentence. `__complete WORDS…` is what the completion
/// scripts ask.
int run(const std::vector<std::string>& words, std::istream& in, std::ostream& out,
        std::ostream& err);

}  // namespace skerry::cli
