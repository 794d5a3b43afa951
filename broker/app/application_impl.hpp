// The parts of an Application in the order of their lives. Private to application*.cpp.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin-api/access.hpp"
#include "admin-api/accounts.hpp"
#include "admin-api/event_endpoints.hpp"
#include "admin-api/idempotency.hpp"
#include "admin-api/tokens.hpp"
#include "app/application.hpp"
#include "app/memory_watch.hpp"
#include "app/tls_holder.hpp"
#include "auth/audit.hpp"
#include "auth/authenticator_chain.hpp"
#include "auth/authority.hpp"
#include "auth/certificate_authenticator.hpp"
#include "auth/crl.hpp"
#include "auth/device_index.hpp"
#include "auth/enrolment_tokens.hpp"
#include "auth/issuer.hpp"
#include "auth/jwt_authenticator.hpp"
#include "auth/named_policies.hpp"
#include "auth/password_authenticator.hpp"
#include "auth/registry.hpp"
#include "auth/renewal_tap.hpp"
#include "auth/revocation_lists.hpp"
#include "auth/service_registry.hpp"
#include "backup/service.hpp"
#include "http/server.hpp"
#include "net/server.hpp"
#include "plugin/tap_chain.hpp"
#include "storage/committer.hpp"
#include "storage/kv_store.hpp"
#include "storage/reader_pool.hpp"
#include "storage/salvage_report.hpp"
#include "storage/space_watch.hpp"
#include "twin/endpoints.hpp"
#include "twin/series/chunk_series_store.hpp"
#include "twin/telemetry_tap.hpp"

namespace skerry::app {

struct Application::Impl {
  Impl(ApplicationOptions options_in, Log& log_in);

  void start();  // application.cpp
  // application_parts.cpp: start, part by part.
  void open_store();
  void open_series();
  void open_audit();
  void open_identity();
  void open_certificates();  // application_certificates.cpp, as make_enrolment_port()
  void make_renewal_tap();
  void make_server();
  // application_telemetry.cpp: the live stream and the telemetry routes.
  twin::TelemetryEndpointOptions telemetry_options();
  admin_api::EventStreamOptions event_options();
  Result<std::vector<twin::SelectedDevice>, twin::SelectionError> select_devices(
      const twin::DeviceSelection& selection, std::string_view after, std::size_t limit);
  void watch_memory();
  void make_admin_port();
  void make_enrolment_port();
  void make_metrics_port();
  void open_index();
  void restore();
  void open_accounts();

  net::Listener make_listener(const ListenerConfiguration& listener);
  TlsHolder& hold_tls(std::function<transport::TlsOptions()> make);
  std::vector<std::string> not_ready_reasons() const;
  void open_salvaged(const storage::RocksOptions& rocks);  // application_storage.cpp
  void mark_damaged() const;                               // the same, as the next
  void keep_revocations();
  void watch_space();
  std::vector<std::string> warnings() const;  // the same
  http::DoorOptions http_doors() const;
  std::string metrics() const;
  /// Asked by the cores for live sessions and those that wait; see net::ServerOptions::still_valid.
  plugin::Standing standing(const plugin::Identity& identity, WallTime now) const;

  // application_access.cpp: who signs tokens, named policies, what goes by age.
  void open_access();
  admin_api::AccessServices access_services();
  plugin::Standing service_standing(const plugin::Identity& identity, WallTime now) const;
  /// Takes over what the file says now; a value is what is wrong with it, nothing changed then.
  std::optional<std::string> reload(const auth::Actor& actor);
  std::optional<auth::ServiceRights> service_rights(std::string_view name) const;
  void prune_audit();

  // application_backup.cpp
  void refuse_half_restored() const;
  void open_backups();
  http::EndpointTable backup_table();

  // application.cpp: running.
  void await_signal();
  void on_signal(int number);
  void await_audit();
  void log_audit_head(std::string_view event);
  void await_reissue();
  void reissue_if_due();
  std::vector<TlsHolder::Context> read_certificates() const;
  void show_certificates(std::vector<TlsHolder::Context> contexts) noexcept;
  void stop();

  ApplicationOptions options;
  const Configuration& configuration;
  Log& log;

  // Others post to the loop until they have ended, so it goes last.
  boost::asio::io_context io{1};
  boost::asio::signal_set signals{io, SIGTERM, SIGINT, SIGHUP};
  boost::asio::steady_timer reissue_timer{io};
  boost::asio::steady_timer audit_timer{io};
  boost::asio::steady_timer stop_timer{io};
  admin_api::EventHub events{io};

  std::unique_ptr<storage::KvStore> store;
  storage::SalvageReport salvaged;
  std::unique_ptr<storage::SpaceWatch> space;
  std::unique_ptr<storage::Committer> committer;
  std::unique_ptr<auth::Audit> audit;
  std::unique_ptr<auth::CertificateAuthority> authority;
  std::unique_ptr<auth::DeviceRegistry> registry;
  std::unique_ptr<auth::DeviceIndex> index;
  std::unique_ptr<auth::ServiceRegistry> service_registry;
  std::unique_ptr<auth::EnrolmentTokens> enrolment_tokens;
  std::shared_ptr<auth::CertificateIssuer> issuer;
  std::shared_ptr<auth::CrlPublisher> crl;
  std::atomic<std::uint64_t> listed_epoch{0};  ///< of the registry's revocations
  auth::RevocationLists revocation_lists{
      [this](std::string_view line) { log.warning("crl_expired", line); }};
  std::unique_ptr<auth::CertificateAuthenticator> certificates;
  std::unique_ptr<auth::ServiceCredentials> credentials;
  std::unique_ptr<storage::ReaderPool> hashers;
  std::unique_ptr<auth::PasswordAuthenticator> passwords;
  auth::NamedPolicies policy;
  auth::JwtAuthenticator jwt{[] { return read_clocks().wall; }};
  std::unique_ptr<twin::series::ChunkSeriesStore> series;
  std::unique_ptr<twin::UnitBook> units;
  std::unique_ptr<twin::TelemetryTap> tap;
  std::unique_ptr<auth::RenewalTap> renewal_tap;
  std::unique_ptr<plugin::TapChain> taps;
  std::unique_ptr<admin_api::AdminAccounts> accounts;
  std::unique_ptr<admin_api::TokenStore> tokens;
  std::unique_ptr<admin_api::IdempotencyStore> idempotency;
  std::vector<std::unique_ptr<TlsHolder>> tls;
  std::vector<std::unique_ptr<auth::AuthenticatorChain>> authenticators;
  std::unique_ptr<MemoryBudget> memory;
  std::unique_ptr<net::Server> server;
  std::unique_ptr<MemoryWatch> memory_watch;
  std::unique_ptr<backup::BackupService> backups;
  std::unique_ptr<storage::ReaderPool> readers;
  std::unique_ptr<storage::ReaderPool> queue_readers;
  std::unique_ptr<storage::ReaderPool> signer;
  std::unique_ptr<http::Server> admin_port;
  std::unique_ptr<http::Server> enrolment_port;
  std::unique_ptr<http::Server> metrics_port;
  std::optional<std::string> new_password;
  SteadyTime audit_pruned{};
  bool registry_is_whole = true;
  bool stopping = false;
};

}  // namespace skerry::app
