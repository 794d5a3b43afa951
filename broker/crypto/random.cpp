#include "crypto/random.hpp"

#include <openssl/rand.h>

#include "base/assert.hpp"
#include "crypto/encoding.hpp"

namespace skerry::crypto {

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  const int done =
      RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count));
  SKERRY_ASSERT(done == 1);
  return bytes;
}

std::string random_token(std::size_t bytes) {
  return base64url_encode(random_bytes(bytes));
}

}  // namespace skerry::crypto
