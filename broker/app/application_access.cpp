// Who may come in by password or token, by which policies they are judged, and how both are read
// again while the server runs.
#include <stdexcept>

#include "admin-api/access.hpp"
#include "app/application_impl.hpp"
#include "app/configuration_policies.hpp"
#include "auth/secret_file.hpp"

namespace skerry::app {

namespace {

constexpr std::size_t hasher_threads = 2;
constexpr std::chrono::hours audit_prune_interval{1};
/// Of one pruning; what is left goes with the next.
constexpr std::size_t audit_prune_records_max = 200'000;

/// Throws ConfigurationError when the keys of an issuer cannot be used.
std::vector<auth::JwtIssuer> read_issuers(const Configuration& configuration) {
  std::vector<auth::JwtIssuer> issuers;
  for (const IssuerConfiguration& from : configuration.authentication.issuers) {
    const auto fail = [&](const std::string& why) {
      throw ConfigurationError(configuration.file + ":" + std::to_string(from.line) + ": issuer " +
                               from.name + ", keys " + from.keys + ": " + why);
    };
    auth::JwtIssuer made;
    made.name = from.name;
    made.issuer = from.issuer;
    made.audience = from.audience;
    made.leeway = from.leeway;
    made.max_life = from.max_life;
    made.service_claim = from.service_claim;
    made.service_prefix = from.service_prefix;
    made.policy = from.policy;
    made.policy_claim = from.policy_claim;
    made.policies = from.policies;
    const auto text = auth::read_file(from.keys);
    if (!text) {
      fail("there is no such file");
    }
    auto keys = auth::read_jwt_keys(*text);
    if (!keys) {
      fail(keys.error());
    }
    made.keys = *std::move(keys);
    issuers.push_back(std::move(made));
  }
  return issuers;
}

}  // namespace

void Application::Impl::open_access() {
  policy.set_lookup([this](std::string_view id) { return registry->find(id); });
  policy.replace(configuration.authorization.policies);
  jwt.replace(read_issuers(configuration));
  credentials = std::make_unique<auth::ServiceCredentials>(*audit);
  if (const auto status = credentials->load(*store); !status.ok()) {
    throw std::runtime_error("the passwords of services cannot be read: " + status.detail);
  }
  credentials->on_change([this](const std::string& service) {
    server->reevaluate("service:" + service, [](std::uint64_t) {});
  });
  hashers = std::make_unique<storage::ReaderPool>(hasher_threads, password_checks_max);
  passwords = std::make_unique<auth::PasswordAuthenticator>(auth::PasswordAuthenticator::Options{
      *credentials, *hashers, [this](std::string_view name) { return service_rights(name); },
      read_clocks});
}

std::optional<auth::ServiceRights> Application::Impl::service_rights(std::string_view name) const {
  const auth::ServicePointer service = service_registry->find(name);
  return service ? std::optional{auth::ServiceRights{service->policy, service->created}}
                 : std::nullopt;
}

admin_api::AccessServices Application::Impl::access_services() {
  admin_api::AccessServices access{*audit,    *store,       *readers, policy,
                                   *registry, *credentials, *hashers};
  for (const ListenerConfiguration& listener : configuration.listeners) {
    const bool by_certificate =
        listener.tls && listener.client_certificate != transport::ClientCertificate::none;
    access.listeners.insert(
        by_certificate ? access.listeners.begin() : access.listeners.end(),
        {listener.name, auth::policy_text(listener.policy, listener.policy_name)});
  }
  access.service_rights = [this](std::string_view name) { return service_rights(name); };
  access.reload = [this](const auth::Actor& actor) { return reload(actor); };
  return access;
}

plugin::Standing Application::Impl::service_standing(const plugin::Identity& identity,
                                                     WallTime now) const {
  switch (identity.proof) {
    case plugin::Proof::password:
      return passwords->standing(identity, now);
    case plugin::Proof::token:
      return jwt.standing(identity, now);
    case plugin::Proof::certificate:
    case plugin::Proof::none:
      break;
  }
  return certificates->standing(identity, now);
}

std::optional<std::string> Application::Impl::reload(const auth::Actor& actor) {
  try {
    // All is read before anything is changed: a mistake anywhere leaves everything as it was.
    const auto revoked = revocation_lists.read_again(read_clocks().wall);
    auto certificates_read = read_certificates();
    if (!options.configuration_path.empty()) {
      Configuration fresh = load_configuration(options.configuration_path);
      // The listeners stay as they are, so what they are judged by must stay as well.
      Configuration judged = fresh;
      judged.listeners = configuration.listeners;
      judged.authorization.policy_files.clear();
      load_policies(judged);
      std::vector<auth::JwtIssuer> issuers = read_issuers(fresh);
      log.set_level(fresh.log.level);
      policy.replace(std::move(fresh.authorization.policies));
      jwt.replace(std::move(issuers));
    }
    show_certificates(std::move(certificates_read));
    revocation_lists.replace(revoked);
  } catch (const std::exception& error) {
    log.error("reload_failed", error.what());
    return error.what();
  }
  log.information("reloaded",
                  "log level, certificates, revocation lists, policies and issuers of tokens; "
                  "other changes need a restart");
  audit->submit({}, {actor.name, "system.reload", "configuration", "ok", "", actor.address}, {});
  if (server) {
    server->reevaluate({}, [](std::uint64_t) {});
  }
  return std::nullopt;
}

void Application::Impl::prune_audit() {
  const Now now = read_clocks();
  if (audit_pruned != SteadyTime{} && now.steady - audit_pruned < audit_prune_interval) {
    return;
  }
  audit_pruned = now.steady;
  const WallTime before = now.wall - configuration.audit_retention;
  const bool taken = readers->run(
      [this, before] { audit->prune(before, audit_prune_records_max, [](std::uint64_t) {}); });
  if (!taken) {
    log.warning("audit_not_pruned", "the readers are busy; it is tried again in an hour");
  }
}

}  // namespace skerry::app
