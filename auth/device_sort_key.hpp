// What devices are sorted by, while the index is locked. Inside DeviceIndex only.
#pragma once

#include "auth/device_index.hpp"

namespace skerry::auth {

struct DeviceIndex::Key {
  std::int64_t number = 0;
  std::string_view text;
  std::string_view id;
  DeviceNumber device = 0;
};

}  // namespace skerry::auth
