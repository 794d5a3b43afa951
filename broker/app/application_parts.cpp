// Making the parts and joining them: who gets a reference to whom is decided here and nowhere else.
#include <algorithm>
#include <cstring>
#include <mutex>
#include <stdexcept>

#include "admin-api/endpoints.hpp"
#include "admin-api/health.hpp"
#include "admin-api/space_guard.hpp"
#include "app/application_impl.hpp"
#include "app/core_count.hpp"
#include "app/damaged_records.hpp"
#include "app/metrics.hpp"
#include "app/metrics_pressure.hpp"
#include "app/restore.hpp"
#include "auth/secret_file.hpp"
#include "crypto/hash.hpp"
#include "crypto/random.hpp"

namespace skerry::app {

namespace {

constexpr std::size_t reader_threads = 4;
/// Apart from the others, so that no question over REST keeps a client from its messages.
constexpr std::size_t queue_reader_threads = 2;

std::string read_pem(const std::string& path) {
  auto text = auth::read_file(path);
  if (!text) {
    throw std::runtime_error("cannot read " + path + ": there is no such file");
  }
  return *std::move(text);
}

HashKey random_hash_key() {
  const std::string bytes = crypto::random_bytes(sizeof(HashKey));
  HashKey key;
  std::memcpy(key.words.data(), bytes.data(), sizeof key.words);
  return key;
}

/// What the engine says while it is being opened is held back: when that fails, our own sentence
/// says why, and nothing else.
class EngineLog {
 public:
  explicit EngineLog(Log& log) : log_(log) {}

  void write(std::string_view line) {
    const std::lock_guard lock(mutex_);
    if (opened_) {
      log_.warning("storage_engine", line);
    } else if (held_back_.size() < lines_max) {
      held_back_.emplace_back(line);
    }
  }

  void opened() {
    const std::lock_guard lock(mutex_);
    opened_ = true;
    for (const std::string& line : held_back_) {
      log_.warning("storage_engine", line);
    }
    held_back_.clear();
  }

 private:
  static constexpr std::size_t lines_max = 1'000;

  Log& log_;
  std::mutex mutex_;
  bool opened_ = false;
  std::vector<std::string> held_back_;
};

LogLevel level_of(int level) noexcept {
  return static_cast<LogLevel>(std::clamp(level, 0, static_cast<int>(LogLevel::error)));
}

std::shared_ptr<net::OutputBudget> output_budget_of(const ListenerLimits& limits) {
  return limits.output_bytes_max == 0
             ? nullptr
             : std::make_shared<net::OutputBudget>(limits.output_bytes_max);
}

http::EndpointTable joined(http::EndpointTable left, http::EndpointTable right) {
  left.insert(left.end(), std::make_move_iterator(right.begin()),
              std::make_move_iterator(right.end()));
  return left;
}

}  // namespace

Application::Impl::Impl(ApplicationOptions options_in, Log& log_in)
    : options(std::move(options_in)), configuration(options.configuration), log(log_in) {}

void Application::Impl::open_store() {
  refuse_half_restored();
  auth::make_private_directory(configuration.data_dir);
  storage::RocksOptions rocks;
  rocks.directory = configuration.data_dir + "/store";
  const auto engine_log = std::make_shared<EngineLog>(log);
  rocks.log = [engine_log](std::string_view line) { engine_log->write(line); };
  open_salvaged(rocks);
  engine_log->opened();
  storage::CommitterOptions commits;
  commits.sync = configuration.persistence.sync;
  commits.interval = configuration.persistence.interval;
  commits.queue_bytes_max = configuration.limits.commit_queue_bytes_max;
  commits.log = [this](std::string_view event, std::string_view detail) {
    log.error(event, detail);
    if (event == "store_damaged") {
      mark_damaged();
    }
  };
  committer = std::make_unique<storage::Committer>(*store, commits);
  watch_space();
  units = std::make_unique<twin::UnitBook>(*store);
}

void Application::Impl::open_series() {
  twin::series::SeriesStoreOptions telemetry;
  telemetry.store = store.get();
  telemetry.write = [this](storage::Batch batch) {
    return committer->write_and_wait(std::move(batch));
  };
  telemetry.clock = read_clocks;
  telemetry.hash_key = random_hash_key();
  telemetry.limits.series_max = configuration.twin.series_max;
  telemetry.limits.series_per_device_max = configuration.twin.series_per_device_max;
  telemetry.rules = configuration.twin.series_rules;
  telemetry.space_low = &space->low();
  telemetry.log = [this](std::string_view line) { log.warning("series", line); };
  series = std::make_unique<twin::series::ChunkSeriesStore>(std::move(telemetry));
  if (const auto status = series->open(); !status.ok()) {
    throw std::runtime_error("the telemetry cannot be read: " + status.detail);
  }
  series->start();
}

void Application::Impl::open_audit() {
  audit = std::make_unique<auth::Audit>(*committer, *store, read_clocks);
  const auth::Audit::Loaded loaded = audit->load();
  if (!loaded.status.ok()) {
    throw std::runtime_error("the audit cannot be read: " + loaded.status.detail);
  }
  if (loaded.is_damaged) {
    log.error("audit_damaged", "the last record cannot be read; the chain goes on behind it");
  }
  log_audit_head("audit_opened");
}

// A log that is kept elsewhere then says where the chain must have been.
void Application::Impl::log_audit_head(std::string_view event) {
  const auth::AuditHead head = audit->head();
  log.information(
      event, "record " + std::to_string(head.sequence) + ", hash " + crypto::to_hex(head.hash));
}

void Application::Impl::open_identity() {
  auth::AuthorityOptions certificate_options;
  certificate_options.data_dir = configuration.data_dir;
  certificate_options.server_names = configuration.identity.server_names;
  certificate_options.device_certificate_life = configuration.identity.device_certificate_life;
  certificate_options.server_certificate_life = configuration.identity.server_certificate_life;
  certificate_options.crl_url = configuration.identity.crl_url;
  authority = auth::CertificateAuthority::open(certificate_options, read_clocks().wall);
  keep_revocations();
  registry = std::make_unique<auth::DeviceRegistry>(*audit);
  registry->tell_events(events);
  const auto loaded = registry->load(*store);
  if (!loaded.status.ok()) {
    throw std::runtime_error("the device registry cannot be read: " + loaded.status.detail);
  }
  registry_is_whole = loaded.damaged == 0;
  if (!registry_is_whole) {
    log.error("registry_damaged", std::to_string(loaded.damaged) +
                                      " records were skipped; their devices are locked out");
  }
  open_certificates();
  certificates = std::make_unique<auth::CertificateAuthenticator>(
      *registry, authority->device_ca(), [] { return read_clocks().wall; }, service_registry.get(),
      &revocation_lists);
  registry->on_rights_change(
      [this](const std::string& id) { server->rights_changed("device:" + id); });
  registry->on_change([this](const auth::Device& device, auth::DeviceRegistry::Change change) {
    if (change == auth::DeviceRegistry::Change::erased) {
      server->forget_device(device.id);
    }
  });
  open_index();
}

TlsHolder& Application::Impl::hold_tls(std::function<transport::TlsOptions()> make) {
  tls.push_back(std::make_unique<TlsHolder>(std::move(make)));
  return *tls.back();
}

net::Listener Application::Impl::make_listener(const ListenerConfiguration& listener) {
  using Method = auth::AuthenticatorChain::Method;
  std::shared_ptr<plugin::Authenticator> by_certificate;
  crypto::Certificate client_ca = authority->device_ca();
  if (listener.client_ca.empty()) {
    // The chain shares what the application owns.
    by_certificate = {std::shared_ptr<void>(), certificates.get()};
  } else {
    auto authority_certificate = crypto::Certificate::from_pem(read_pem(listener.client_ca));
    if (authority_certificate.has_error()) {
      throw std::runtime_error(listener.client_ca + " holds no certificate");
    }
    client_ca = *authority_certificate;
    by_certificate = std::make_shared<auth::CertificateAuthenticator>(
        *registry, client_ca, [] { return read_clocks().wall; }, service_registry.get(),
        &revocation_lists);
  }
  if (!listener.crl.empty()) {
    revocation_lists.add(listener.crl, client_ca, read_clocks().wall);
  }
  std::vector<auth::AuthenticatorChain::Step> steps;
  for (const AuthenticationMethod method : listener.authentication) {
    switch (method) {
      case AuthenticationMethod::certificate:
        steps.push_back({Method::certificate, by_certificate});
        break;
      case AuthenticationMethod::password:
        steps.push_back({Method::password, {std::shared_ptr<void>(), passwords.get()}});
        break;
      case AuthenticationMethod::jwt:
        steps.push_back({Method::token, {std::shared_ptr<void>(), &jwt}});
        break;
      case AuthenticationMethod::anonymous:
        steps.push_back({Method::anonymous, std::make_shared<auth::AnonymousAuthenticator>()});
        break;
    }
  }
  authenticators.push_back(std::make_unique<auth::AuthenticatorChain>(std::move(steps)));

  net::Listener made;
  made.name = listener.name;
  made.bind = listener.bind;
  made.policy = listener.policy;
  made.policy_name = listener.policy_name;
  made.domain = listener.domain;
  made.connections_max = listener.limits.connections_max;
  made.rates = listener.limits.rates;
  made.output = output_budget_of(listener.limits);
  made.authenticator = authenticators.back().get();
  if (listener.tls) {
    made.tls = hold_tls([this, listener] {
                 transport::TlsOptions options_of_tls;
                 const bool own = listener.certificate.empty();
                 const auth::ServerCertificate shown = authority->server_certificate();
                 options_of_tls.certificate_chain_pem =
                     own ? shown.chain_pem : read_pem(listener.certificate);
                 options_of_tls.private_key_pem =
                     own ? shown.private_key_pem : read_pem(listener.private_key);
                 options_of_tls.client_certificate = listener.client_certificate;
                 if (listener.client_certificate != transport::ClientCertificate::none) {
                   options_of_tls.client_ca_pem = listener.client_ca.empty()
                                                      ? authority->device_ca().pem()
                                                      : read_pem(listener.client_ca);
                 }
                 options_of_tls.session_resumption = true;
                 return options_of_tls;
               }).source();
  }
  return made;
}

void Application::Impl::make_server() {
  net::ServerOptions network;
  network.core_count = configuration.cores.value_or(usable_cores());
  network.pin_threads = configuration.pin_cores;
  network.limits = configuration.limits;
  network.hash_key = random_hash_key();
  network.authorizer = &policy;
  network.committer = committer.get();
  network.faults = options.faults;
  network.space_low = &space->low();
  queue_readers = std::make_unique<storage::ReaderPool>(queue_reader_threads);
  network.store = store.get();
  memory = std::make_unique<MemoryBudget>(memory_limit(configuration.limits.memory));
  network.memory = memory.get();
  network.readers = queue_readers.get();
  network.audit = audit.get();
  network.random = crypto::random_bytes;
  network.still_valid = [this](const plugin::Identity& identity, WallTime now) {
    return standing(identity, now);
  };
  network.drop_revoked_queues = configuration.authorization.on_revocation == OnRevocation::drop;
  network.publishes_presence = configuration.twin.presence;
  network.events = &events;
  network.presence_changed = [this](std::string_view device, bool online, WallTime when) {
    index->note_presence(device, online, when);
  };
  network.log = [this](int level, std::string_view event, std::string_view client,
                       std::string_view detail) {
    log.write(level_of(level), event, {{"client", client}, {"detail", detail}});
  };
  tap = std::make_unique<twin::TelemetryTap>(*series, network.core_count, &events);
  make_renewal_tap();
  network.tap = taps.get();
  for (const ListenerConfiguration& listener : configuration.listeners) {
    network.listeners.push_back(make_listener(listener));
  }
  server = std::make_unique<net::Server>(std::move(network));
  watch_memory();
}

// It shuts the doors of the server, so it begins after that and ends before it.
void Application::Impl::watch_memory() {
  MemoryWatch::Hooks hooks;
  hooks.level = [this](MemoryBudget::Level level) {
    const std::string detail = std::to_string(memory->used_bytes()) + " of " +
                               std::to_string(memory->limit_bytes()) + " bytes are used";
    switch (level) {
      case MemoryBudget::Level::calm:
        return log.information("memory_calm", detail);
      case MemoryBudget::Level::pressed:
        return log.warning("memory_pressed", detail + "; nothing new is taken");
      case MemoryBudget::Level::full:
        return log.error("memory_full", detail + "; publishes that must be kept are refused");
    }
  };
  hooks.doors = [this](bool shut) {
    if (shut) {
      server->close_doors();
      return log.warning("doors_shut", "memory is short; new connections are reset");
    }
    server->open_doors();
    log.information("doors_opened", "new connections are taken again");
  };
  memory_watch = std::make_unique<MemoryWatch>(*memory, std::move(hooks));
}

void Application::Impl::make_admin_port() {
  readers = std::make_unique<storage::ReaderPool>(reader_threads);
  open_backups();
  accounts = std::make_unique<admin_api::AdminAccounts>(*audit);
  tokens = std::make_unique<admin_api::TokenStore>(*audit, [] { return read_clocks().wall; });
  if (const auto status = tokens->load(*store); !status.ok()) {
    throw std::runtime_error("the tokens cannot be read: " + status.detail);
  }
  admin_api::AdminServices services{*registry, *index,   *server,     *accounts,
                                    *tokens,   *readers, read_clocks, version()};
  services.log = [this](std::string_view line) { log.information("admin", line); };
  services.certificates.emplace(admin_api::CertificateServices{*authority, *crl, *enrolment_tokens,
                                                               *service_registry, *signer});
  services.certificates->is_service_policy = [this](std::string_view name) {
    return name == "service-read" || name == "service-write" || policy.contains(name);
  };
  services.audit = audit.get();
  http::ServerOptions port;
  port.name = "admin";
  port.bind = configuration.admin_bind;
  port.doors = http_doors();
  port.guard = tokens->guard();
  port.refused = [this](const http::Refusal& refused) {
    const std::string actor =
        refused.principal.empty() ? "address:" + refused.peer_address : refused.principal;
    audit->refused({actor, "request", refused.method + " " + refused.path, refused.code,
                    refused.scope, refused.peer_address});
  };
  port.log = [this](std::string_view line) { log.information("admin_http", line); };
  port.tls = hold_tls([this] {
               const auth::ServerCertificate shown = authority->server_certificate();
               transport::TlsOptions options_of_tls;
               options_of_tls.certificate_chain_pem = shown.chain_pem;
               options_of_tls.private_key_pem = shown.private_key_pem;
               options_of_tls.session_resumption = true;
               return options_of_tls;
             }).source();
  http::EndpointTable table = joined(admin_api::admin_endpoints(std::move(services)),
                                     admin_api::access_endpoints(access_services()));
  table = joined(std::move(table), backup_table());
  idempotency = std::make_unique<admin_api::IdempotencyStore>([] { return read_clocks().steady; });
  admin_api::make_idempotent(table, *idempotency);
  admin_api::refuse_when_low(table, space->low());
  // Their answers are streams, and their one POST changes nothing.
  table = joined(std::move(table), twin::telemetry_endpoints(telemetry_options()));
  table = joined(std::move(table), admin_api::event_endpoints(event_options()));
  admin_port = std::make_unique<http::Server>(io, std::move(port), std::move(table));
}

http::DoorOptions Application::Impl::http_doors() const {
  return http::doors_of(configuration.limits, random_hash_key());
}

void Application::Impl::make_metrics_port() {
  admin_api::HealthSources health{*server, [this] { return metrics(); },
                                  [this] { return not_ready_reasons(); }};
  health.warnings = [this] { return warnings(); };
  http::ServerOptions port;
  port.name = "metrics";
  port.bind = configuration.metrics_bind;
  port.doors = http_doors();
  port.log = [this](std::string_view line) { log.information("metrics_http", line); };
  metrics_port = std::make_unique<http::Server>(io, std::move(port),
                                                admin_api::health_endpoints(std::move(health)));
}

plugin::Standing Application::Impl::standing(const plugin::Identity& identity, WallTime now) const {
  using State = plugin::Standing::State;
  if (identity.kind == plugin::IdentityKind::service) {
    return service_standing(identity, now);
  }
  const plugin::Standing found = certificates->standing(identity, now);
  // Whose registration cannot be read does not get in, but keeps what waits for it.
  return found.state == State::erased && !registry_is_whole ? plugin::Standing{State::denied}
                                                            : found;
}

std::string Application::Impl::metrics() const {
  return pressure_metrics_text({*server, *memory, memory_watch->trims()}) +
         metrics_text({*server,
                       *committer,
                       *store,
                       *tap,
                       events,
                       series->statistics(),
                       *registry,
                       version(),
                       audit.get(),
                       &backups->statistics(),
                       space.get(),
                       &salvaged,
                       {admin_port.get(), enrolment_port.get(), metrics_port.get()}});
}

std::vector<std::string> Application::Impl::not_ready_reasons() const {
  std::vector<std::string> reasons;
  if (!committer->healthy()) {
    reasons.emplace_back("the store cannot be written");
  }
  if (stopping) {
    reasons.emplace_back("the server is stopping");
  }
  return reasons;
}

void Application::Impl::restore() {
  const Now now = read_clocks();
  // Whose registration cannot be read is not taken for deleted.
  const auto is_registered = [this](std::string_view device) {
    return !registry_is_whole || registry->find(device) != nullptr;
  };
  DamagedRecords damaged(configuration.data_dir, salvaged, now.wall);
  const Restored restored = restore_sessions(
      *store, *committer, is_registered, *server, log, now,
      [&damaged](storage::Family family, std::string_view key, std::string_view value) {
        damaged.set_aside(family, key, value);
      });
  if (const std::string trouble = damaged.finish(*committer); !trouble.empty()) {
    log.error("records_not_set_aside", trouble);
  }
  log.information("restored", std::to_string(restored.records) + " records of sessions, " +
                                  std::to_string(registry->size()) + " devices");
  if (restored.orphaned > 0) {
    log.warning("restore_orphans", std::to_string(restored.orphaned) +
                                       " sessions of devices that are not registered were removed");
  }
  if (restored.damaged > 0) {
    log.error("restore_damaged", std::to_string(restored.damaged) +
                                     " damaged records were set aside in " + salvaged.directory);
  }
}

void Application::Impl::open_accounts() {
  auto opened = accounts->open(*store, options.reset_admin_password);
  if (!opened.status.ok()) {
    throw std::runtime_error("the admin accounts cannot be read or stored: " +
                             opened.status.detail);
  }
  new_password = std::move(opened.new_password);
  if (new_password) {
    // For whoever has started the server and may read its data: `skerryctl login` finds it there.
    auth::write_file(configuration.data_dir + "/initial-admin-password", *new_password + "\n",
                     auth::FileMode::secret);
  }
}

}  // namespace skerry::app
