// What a client certificate says by itself, without a look at any registry: whom it names, and
// whether it is made for clients at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "crypto/certificate.hpp"

namespace skerry::auth {

enum class ClientKind : std::uint8_t { device, service };

struct ClientName {
  ClientKind kind = ClientKind::device;
  std::string name;  ///< a valid device id or service name
};

/// Whom the one `urn:skerry:` name among the alternative names stands for; nullopt when there is
/// none, several, or one of another kind.
std::optional<ClientName> client_name_of(const crypto::CertificateFields& fields);

/// Is it for clients and nothing else: no authority, extended key usage clientAuth alone?
bool is_for_clients(const crypto::CertificateFields& fields) noexcept;

}  // namespace skerry::auth
