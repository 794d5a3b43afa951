// Processor quotas of both cgroup versions.
#include "app/core_count.hpp"

#include <doctest/doctest.h>

namespace skerry::app {

TEST_CASE("a quota is rounded up to whole cores and none is no limit") {
  CHECK(cores_of_cpu_max("max 100000") == 0);
  CHECK(cores_of_cpu_max("100000 100000") == 1);
  CHECK(cores_of_cpu_max("150000 100000") == 2);
  CHECK(cores_of_cpu_max("50000 100000") == 1);
  CHECK(cores_of_cpu_max("") == 0);
  CHECK(cores_of_cpu_max("nonsense here") == 0);
  CHECK(cores_of_quota(-1, 100'000) == 0);
  CHECK(cores_of_quota(400'000, 100'000) == 4);
  CHECK(usable_cores() >= 1);
}

}  // namespace skerry::app
