// Names of the families as they stand on disk, and the small key arithmetic that scans need.
#include <array>

#include "storage/kv_store.hpp"

namespace skerry::storage {

namespace {
constexpr std::array<std::string_view, family_count> family_names = {
    "meta",      "sessions", "subscriptions", "messages",      "acks",
    "inflight",  "retained", "registry",      "series",        "series_latest",
    "documents", "admin",    "series_log",    "series_chunks", "series_rollups",
};
}  // namespace

std::string_view name_of(Family family) noexcept {
  SKERRY_ASSERT(family < Family::count_);
  return family_names[static_cast<std::size_t>(family)];
}

bool may_expire(Family family) noexcept {
  return family == Family::series_chunks || family == Family::series_rollups;
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') {
    end.pop_back();
  }
  if (!end.empty()) {
    end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  }
  return end;
}

}  // namespace skerry::storage
