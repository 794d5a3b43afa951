// What every command is given: where to read and write, what was saved, how to print.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "cli/settings.hpp"

namespace skerry::cli {

enum class Output : std::uint8_t { table, json, yaml, csv };

struct Session {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  Settings settings;          ///< saved ones with the flags of this call over them
  std::string settings_path;  ///< where login saves
  bool ca_given = false;      ///< the CA comes from a flag of this call
  Output output = Output::table;
  bool quiet = false;         ///< lists give ids alone, what was done is not told
  bool terminal_out = false;  ///< a person reads `out`
  bool terminal_err = false;  ///< a person reads `err`: progress may be shown
};

}  // namespace skerry::cli
