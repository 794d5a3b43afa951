#include "base/keyed_hash.hpp"

#include <doctest/doctest.h>

#include <string>

using skerry::HashKey;
using skerry::keyed_hash;

TEST_CASE("the keyed hash is SipHash-2-4 by its authors' vectors") {
  // Key 00 01 … 0f, input 00 01 … (n − 1), from the paper's reference implementation.
  const HashKey key{{0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL}};
  const std::uint64_t expected[] = {0x726fdb47dd0e0e31ULL, 0x74f839c593dc67fdULL,
                                    0x0d6c8009d9a94f5aULL, 0x85676696d7fb7e2dULL};
  std::string input;
  for (const std::uint64_t value : expected) {
    CHECK(keyed_hash(key, input) == value);
    input.push_back(static_cast<char>(input.size()));
  }
  while (input.size() < 15) {
    input.push_back(static_cast<char>(input.size()));
  }
  CHECK(keyed_hash(key, input) == 0xa129ca6149be45e5ULL);
}

TEST_CASE("another key places the same name elsewhere") {
  CHECK(keyed_hash({{1, 2}}, "devices/d1") != keyed_hash({{1, 3}}, "devices/d1"));
}
