#include "crypto/failure.hpp"

#include "base/assert.hpp"

namespace skerry::crypto {

void throw_exception_from_error(const Failure&, const boost::source_location& where) {
  assertion_failed("value of a failed crypto result", where.file_name(),
                   static_cast<int>(where.line()));
}

}  // namespace skerry::crypto
