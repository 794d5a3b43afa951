// The words of the command line.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace skerry::cli {

/// Runs one command with the words behind the program's name and gives the exit code: 0, 1 when it
/// could not be done, 2 when the words make no sense. Errors go to `err` as one sentence.
int run(const std::vector<std::string>& words, std::istream& in, std::ostream& out,
        std::ostream& err);

}  // namespace skerry::cli
