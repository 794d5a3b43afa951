// What ends a run: a sentence for the person who started it.
#pragma once

#include <stdexcept>

namespace skerry::bench {

/// The run cannot go on: the broker refused, closed or did not answer, or an option makes no sense.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace skerry::bench
