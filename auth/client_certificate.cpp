#include "auth/client_certificate.hpp"

#include <string_view>

#include "auth/authority.hpp"
#include "auth/registry.hpp"

namespace skerry::auth {

namespace {

constexpr std::string_view skerry_prefix = "urn:skerry:";

}  // namespace

std::optional<ClientName> client_name_of(const crypto::CertificateFields& fields) {
  std::string_view found;
  for (const std::string& uri : fields.uris) {
    if (!uri.starts_with(skerry_prefix)) {
      continue;
    }
    if (!found.empty()) {
      return std::nullopt;
    }
    found = uri;
  }
  ClientName client;
  if (found.starts_with(device_uri_prefix)) {
    found.remove_prefix(device_uri_prefix.size());
  } else if (found.starts_with(service_uri_prefix)) {
    client.kind = ClientKind::service;
    found.remove_prefix(service_uri_prefix.size());
  } else {
    return std::nullopt;
  }
  // Services are named by the same rule.
  if (!is_valid_device_id(found)) {
    return std::nullopt;
  }
  client.name = found;
  return client;
}

bool is_for_clients(const crypto::CertificateFields& fields) noexcept {
  return !fields.is_authority && fields.client_authentication && !fields.server_authentication &&
         !fields.other_extended_usage;
}

}  // namespace skerry::auth
