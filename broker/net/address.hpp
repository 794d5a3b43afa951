// Socket addresses of the configuration: "127.0.0.1:1883", "[::]:8883", and listening sockets that
// the cores share by SO_REUSEPORT.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace skerry::net {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

/// Reads "<IPv4>:<port>" or "[<IPv6>]:<port>"; names are not looked up. The error is a sentence.
Result<Address, std::string> parse_address(std::string_view text);

/// The port of a bound address.
std::uint16_t port_of(const Address& address) noexcept;

/// "192.0.2.7:4711", "[2001:db8::1]:4711"; empty when the socket is not connected.
std::string peer_address_of(int descriptor);

/// Fails with a sentence when somebody listens on `address` already. Sockets with SO_REUSEPORT
/// would share the port with another server without a word, so this asks without it.
Result<void, std::string> probe_port(const Address& address, std::string_view text);

/// A bound non-blocking TCP socket that may share its port with the other cores' (SO_REUSEPORT);
/// not listening yet. With port 0 the kernel picks one, which is then found in `address`.
Result<int, std::string> bind_shared(Address& address, std::string_view text);

/// Has close() reset the connection: unread and unsent bytes are dropped, and the kernel keeps
/// nothing of it.
void reset_when_closed(int descriptor) noexcept;

}  // namespace skerry::net
