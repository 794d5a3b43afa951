// The endpoint table of the admin API: tokens, devices, clients, version, and the description of
// all of it. Telemetry comes from twin/ as a table of its own; the wiring joins them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "admin-api/accounts.hpp"
#include "admin-api/attempt_limiter.hpp"
#include "admin-api/tokens.hpp"
#include "auth/authority.hpp"
#include "auth/crl.hpp"
#include "auth/device_index.hpp"
#include "auth/enrolment_tokens.hpp"
#include "auth/registry.hpp"
#include "auth/service_registry.hpp"
#include "base/now.hpp"
#include "http/endpoint.hpp"
#include "plugin/admin_view.hpp"
#include "plugin/audit.hpp"
#include "storage/reader_pool.hpp"

namespace skerry::admin_api {

/// What the handlers of /ca, /enrolment-tokens and /services work on.
struct CertificateServices {
  auth::CertificateAuthority& authority;
  auth::CrlPublisher& crl;
  auth::EnrolmentTokens& enrolment_tokens;
  auth::ServiceRegistry& services;
  storage::ReaderPool& signer;
  /// May a service be judged by a policy of this name?
  std::function<bool(std::string_view)> is_service_policy = [](std::string_view name) {
    return name == "service-read" || name == "service-write";
  };
};

/// What the handlers work on. All of it must outlive the table, which is used on the admin loop.
struct AdminServices {
  auth::DeviceRegistry& registry;
  auth::DeviceIndex& index;
  plugin::AdminView& view;
  AdminAccounts& accounts;
  TokenStore& tokens;
  storage::ReaderPool& readers;
  std::function<Now()> clock = [] { return read_clocks(); };
  std::string version;  ///< "0.1.0"
  /// Gets one line for each change and each refused password.
  std::function<void(std::string_view)> log = [](std::string_view) {};
  AttemptLimits attempt_limits = {};
  /// Without it there are no endpoints of these.
  std::optional<CertificateServices> certificates = {};
  plugin::AuditLog* audit = nullptr;  ///< of refused passwords and of clients; may be null
};

/// POST, GET /api/v1/tokens · DELETE /api/v1/tokens/{id} · GET, POST /api/v1/devices ·
/// GET, DELETE /api/v1/devices/{id} · GET /api/v1/clients · POST
/// /api/v1/clients/{owner}/{clientId}:disconnect · DELETE /api/v1/clients/{owner}/{clientId} · GET
/// /api/v1/system/version · GET /api/v1/openapi.json
http::EndpointTable admin_endpoints(AdminServices services);

}  // namespace skerry::admin_api
