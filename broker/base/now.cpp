#include "base/now.hpp"

namespace skerry {

Now read_clocks() noexcept {
  return {std::chrono::steady_clock::now(),
          std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now())};
}

}  // namespace skerry
