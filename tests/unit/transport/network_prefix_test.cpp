// What counts as one address.
#include "transport/network_prefix.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <cstring>
#include <string>

namespace skerry::transport {

namespace {

sockaddr_storage address(const std::string& text) {
  sockaddr_storage storage{};
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    std::memcpy(&storage, &v4, sizeof v4);
  } else {
    REQUIRE(::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1);
    v6.sin6_family = AF_INET6;
    std::memcpy(&storage, &v6, sizeof v6);
  }
  return storage;
}

bool same(const char* left, const char* right, PrefixLengths lengths = {}) {
  return NetworkPrefix::of(address(left), lengths) == NetworkPrefix::of(address(right), lengths);
}

}  // namespace

TEST_CASE("an IPv4 address counts by itself, an IPv6 one by its /64") {
  CHECK(same("192.0.2.1", "192.0.2.1"));
  CHECK(!same("192.0.2.1", "192.0.2.2"));
  CHECK(same("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"));
  CHECK(!same("2001:db8:0:1::1", "2001:db8:0:2::1"));
}

TEST_CASE("IPv4 through a socket for both families is the same IPv4") {
  CHECK(same("::ffff:192.0.2.1", "192.0.2.1"));
  CHECK(!same("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
  CHECK(!same("::", "0.0.0.0"));
}

TEST_CASE("lengths that are no multiple of eight cut within a byte; 0 makes all one") {
  CHECK(same("10.0.0.63", "10.0.0.32", {27, 64}));
  CHECK(!same("10.0.0.63", "10.0.0.64", {27, 64}));
  CHECK(same("10.0.0.1", "192.0.2.1", {0, 64}));
  CHECK(same("2001:db8:10::", "2001:db8:1f::", {32, 44}));
  CHECK(!same("2001:db8:10::", "2001:db8:20::", {32, 44}));
  CHECK(!same("2001:db8::1", "2001:db8::2", {32, 128}));
}

TEST_CASE("other families have no address to tell apart") {
  sockaddr_storage unix_socket{};
  unix_socket.ss_family = AF_UNIX;
  CHECK(NetworkPrefix::of(unix_socket, {}) == NetworkPrefix());
}

}  // namespace skerry::transport
