// The endpoints about who may do what: the audit, named policies and what they decide, passwords of
// services, reloading. Joined to those of endpoints.hpp by the wiring.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/audit.hpp"
#include "auth/named_policies.hpp"
#include "auth/password_authenticator.hpp"
#include "base/now.hpp"
#include "http/endpoint.hpp"
#include "storage/reader_pool.hpp"

namespace skerry::admin_api {

/// What the handlers work on. All of it must outlive the table, which is used on the admin loop.
struct AccessServices {
  auth::Audit& audit;
  const storage::KvStore& store;
  storage::ReaderPool& readers;
  auth::NamedPolicies& policies;
  auth::DeviceRegistry& registry;
  auth::ServiceCredentials& credentials;
  storage::ReaderPool& hashers;  ///< for passwords: a short queue
  std::function<Now()> clock = [] { return read_clocks(); };

  /// By which policy clients of a listener are judged; the first one is where devices come in.
  struct ListenerPolicy {
    std::string listener;
    std::string policy;
  };
  std::vector<ListenerPolicy> listeners = {};

  /// What a registered service may do; nullopt when there is none.
  auth::PasswordAuthenticator::Lookup service_rights = [](std::string_view) {
    return std::nullopt;
  };

  /// Reads the configuration again; a value is the sentence of what is wrong with it, and nothing
  /// was changed then.
  std::function<std::optional<std::string>(const auth::Actor& actor)> reload =
      [](const auth::Actor&) { return std::nullopt; };
};

/// GET /api/v1/audit · GET /api/v1/audit:verify · GET /api/v1/policies ·
/// GET /api/v1/policies/{name} · POST /api/v1/policies:explain · POST /api/v1/system:reload ·
/// GET, PUT, DELETE /api/v1/services/{name}/password
http::EndpointTable access_endpoints(AccessServices services);

http::EndpointTable audit_endpoints(const std::shared_ptr<AccessServices>& services);
http::EndpointTable policy_endpoints(const std::shared_ptr<AccessServices>& services);
http::EndpointTable service_password_endpoints(const std::shared_ptr<AccessServices>& services);

}  // namespace skerry::admin_api
