#include "backup/outcome.hpp"

#include <cerrno>
#include <system_error>

namespace skerry::backup {

std::string_view name_of(Code code) noexcept {
  switch (code) {
    case Code::ok:
      return "ok";
    case Code::exists:
      return "backup_exists";
    case Code::running:
      return "backup_running";
    case Code::not_found:
      return "backup_not_found";
    case Code::damaged:
      return "backup_damaged";
    case Code::newer:
      return "backup_newer";
    case Code::not_empty:
      return "directory_not_empty";
    case Code::full:
      return "storage_full";
    case Code::io_error:
      return "storage_failed";
    case Code::stopped:
      return "stopped";
  }
  return "unknown";
}

Outcome failure(std::string_view what, const std::string& path, int error) {
  return {
      error == ENOSPC || error == EDQUOT ? Code::full : Code::io_error,
      "cannot " + std::string(what) + " " + path + ": " + std::generic_category().message(error)};
}

}  // namespace skerry::backup
