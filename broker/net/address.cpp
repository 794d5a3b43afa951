// Parsing and binding with the plain socket calls: these sockets live in the cores' own epoll sets.
#include "net/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>

namespace skerry::net {

namespace {

std::string system_text(int code) {
  return std::generic_category().message(code);
}

bool parse_port(std::string_view text, std::uint16_t& port) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

std::string bind_failure(std::string_view text, int code) {
  if (code == EADDRINUSE) {
    return "cannot listen on " + std::string(text) + ": address already in use";
  }
  return "cannot listen on " + std::string(text) + ": " + system_text(code);
}

bool set_flag(int descriptor, int level, int option, int value) noexcept {
  return ::setsockopt(descriptor, level, option, &value, sizeof value) == 0;
}

const sockaddr* raw(const Address& address) noexcept {
  return reinterpret_cast<const sockaddr*>(&address.storage);
}

}  // namespace

Result<Address, std::string> parse_address(std::string_view text) {
  const std::string wrong =
      "\"" + std::string(text) + "\" is not an address: write \"127.0.0.1:1883\" or \"[::1]:1883\"";
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return wrong;
  }
  std::uint16_t port = 0;
  if (!parse_port(text.substr(colon + 1), port)) {
    return wrong;
  }
  std::string host(text.substr(0, colon));
  Address address;
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) != 1) {
      return wrong;
    }
    std::memcpy(&address.storage, &v6, sizeof v6);
    address.length = sizeof v6;
    return address;
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) != 1) {
    return wrong;
  }
  std::memcpy(&address.storage, &v4, sizeof v4);
  address.length = sizeof v4;
  return address;
}

std::uint16_t port_of(const Address& address) noexcept {
  if (address.storage.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
}

std::string peer_address_of(int descriptor) {
  Address address;
  address.length = sizeof address.storage;
  if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&address.storage), &address.length) !=
      0) {
    return {};
  }
  char text[INET6_ADDRSTRLEN] = {};
  if (address.storage.ss_family == AF_INET) {
    const auto* const v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(port_of(address));
  }
  if (address.storage.ss_family == AF_INET6) {
    const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(port_of(address));
  }
  return {};
}

Result<void, std::string> probe_port(const Address& address, std::string_view text) {
  const int descriptor = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) {
    return bind_failure(text, errno);
  }
  // SO_REUSEADDR lets connections in TIME_WAIT pass, though not a socket that listens.
  set_flag(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
  const int result = ::bind(descriptor, raw(address), address.length);
  const int code = errno;
  ::close(descriptor);
  if (result != 0) {
    return bind_failure(text, code);
  }
  return {};
}

Result<int, std::string> bind_shared(Address& address, std::string_view text) {
  const int descriptor =
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) {
    return bind_failure(text, errno);
  }
  set_flag(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
  if (!set_flag(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) ||
      ::bind(descriptor, raw(address), address.length) != 0 ||
      ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address.storage), &address.length) !=
          0) {
    const int code = errno;
    ::close(descriptor);
    return bind_failure(text, code);
  }
  return descriptor;
}

void reset_when_closed(int descriptor) noexcept {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace skerry::net
