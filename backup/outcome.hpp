// Outcome: how something with a backup ended, in a code for programs and a sentence for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace skerry::backup {

enum class Code : std::uint8_t {
  ok,
  exists,     ///< there is a backup of this name
  running,    ///< another one is being made
  not_found,  ///< there is no such backup
  damaged,    ///< not what the manifest says
  newer,      ///< made by a newer version
  not_empty,  ///< the place to restore to holds something
  full,       ///< no space left
  io_error,
  stopped,  ///< given up because the program ends
};

struct [[nodiscard]] Outcome {
  Code code = Code::ok;
  std::string detail;  ///< a sentence that names the file; empty when ok

  bool ok() const noexcept { return code == Code::ok; }
};

/// "storage_full", "backup_damaged", …: stable, for REST and logs.
std::string_view name_of(Code code) noexcept;

/// What errno says about `path`; ENOSPC and EDQUOT are `full`.
Outcome failure(std::string_view what, const std::string& path, int error);

}  // namespace skerry::backup
