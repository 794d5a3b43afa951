// Starting, running and stopping; the parts themselves are made in application_parts.cpp.
#include "app/application.hpp"

#include <algorithm>

#include "app/application_impl.hpp"

namespace skerry::app {

namespace {

constexpr std::chrono::seconds audit_sum_up_interval{5};
/// What live streams have to say why they end.
constexpr std::chrono::milliseconds stream_end_time{250};
constexpr std::chrono::seconds reissue_check_max = std::chrono::hours{1};

/// The address with a name in place of "all interfaces", so that it can be clicked and typed.
std::string shown_address(const std::string& bind, std::uint16_t port) {
  std::string host = bind.substr(0, bind.rfind(':'));
  if (host == "0.0.0.0" || host == "[::]") {
    host = "localhost";
  }
  return host + ":" + std::to_string(port);
}

}  // namespace

std::string version() {
  return SKERRY_VERSION;
}

Application::Application(ApplicationOptions options, Log& log)
    : impl_(std::make_unique<Impl>(std::move(options), log)) {}

Application::~Application() {
  impl_->stop();
}

void Application::start() {
  try {
    impl_->start();
  } catch (const StoreDamaged&) {
    throw;
  } catch (const std::runtime_error& error) {
    // Blocks are checked when they are read, which is after the store has opened.
    const bool damaged = std::string_view(error.what()).find("Corruption: ") != std::string::npos;
    if (!damaged || impl_->store == nullptr || impl_->salvaged.damaged()) {
      throw;
    }
    impl_->mark_damaged();
    throw StoreDamaged(error.what());
  }
}

void Application::Impl::start() {
  open_store();
  open_series();
  open_audit();
  open_identity();
  open_access();
  make_server();
  make_admin_port();
  make_enrolment_port();
  make_metrics_port();
  restore();
  // From here on nothing that could be the operator's mistake goes wrong, so that a password is not
  // made and then never shown.
  open_accounts();
  await_signal();
  server->start();
  log.information("started", "version " + version() + ", data in " + configuration.data_dir);
}

std::string Application::welcome() const {
  const Configuration& configuration = impl_->configuration;
  std::string text =
      "Skerry " + version() + " is running; its data is in " + configuration.data_dir + "\n\n";
  for (std::size_t index = 0; index < configuration.listeners.size(); ++index) {
    const ListenerConfiguration& listener = configuration.listeners[index];
    text += "  MQTT       " + std::string(listener.tls ? "mqtts://" : "mqtt://") +
            shown_address(listener.bind, impl_->server->port(index)) + "  (" + listener.name +
            ")\n";
  }
  text += "  REST       https://" +
          shown_address(configuration.admin_bind, impl_->admin_port->port()) + "/api/v1\n" +
          "  Enrolment  https://" +
          shown_address(configuration.identity.enrolment_bind, impl_->enrolment_port->port()) +
          "/.well-known/est\n" + "  Metrics    http://" +
          shown_address(configuration.metrics_bind, impl_->metrics_port->port()) + "/metrics\n" +
          "  Root CA    " + configuration.data_dir + "/ca/root.crt\n";
  if (impl_->new_password) {
    text += "\n  The password of the user \"admin\", shown this once:\n\n      " +
            *impl_->new_password + "\n\n  It also stands in " + impl_->configuration.data_dir +
            "/initial-admin-password; delete that file when you have kept the password.\n";
  }
  return text;
}

void Application::run() {
  impl_->await_reissue();
  impl_->await_audit();
  impl_->crl->start();
  impl_->io.run();
  impl_->stop();
}

void Application::Impl::await_signal() {
  signals.async_wait([this](const boost::system::error_code& error, int number) {
    if (!error) {
      on_signal(number);
    }
  });
}

void Application::Impl::on_signal(int number) {
  if (number == SIGHUP) {
    reload({"system", ""});
    await_signal();
    return;
  }
  log.information("stopping", number == SIGTERM ? "SIGTERM" : "SIGINT");
  // Live streams end with a word of why.
  events.close();
  stop_timer.expires_after(events.listener_count() > 0 ? stream_end_time
                                                       : std::chrono::milliseconds{0});
  stop_timer.async_wait([this](const boost::system::error_code&) { io.stop(); });
}

/// Reads the certificates of all ports, or throws; show_certificates() then cannot fail.
std::vector<TlsHolder::Context> Application::Impl::read_certificates() const {
  std::vector<TlsHolder::Context> contexts;
  for (const auto& holder : tls) {
    contexts.push_back(holder->prepare());
  }
  return contexts;
}

void Application::Impl::show_certificates(std::vector<TlsHolder::Context> contexts) noexcept {
  for (std::size_t port = 0; port < tls.size(); ++port) {
    tls[port]->show(std::move(contexts[port]));
  }
}

void Application::Impl::await_reissue() {
  reissue_timer.expires_after(
      std::clamp<std::chrono::seconds>(configuration.identity.server_certificate_life / 20,
                                       std::chrono::seconds{1}, reissue_check_max));
  reissue_timer.async_wait([this](const boost::system::error_code& error) {
    if (!error) {
      reissue_if_due();
      await_reissue();
    }
  });
}

void Application::Impl::await_audit() {
  audit_timer.expires_after(audit_sum_up_interval);
  audit_timer.async_wait([this](const boost::system::error_code& error) {
    if (!error) {
      audit->sum_up();
      prune_audit();
      await_audit();
    }
  });
}

void Application::Impl::reissue_if_due() {
  const WallTime now = read_clocks().wall;
  if (!authority->reissue_due(now)) {
    return;
  }
  try {
    authority->issue_server_certificate({}, now);
    log.information("server_certificate_reissued", "the listeners show it from now on");
  } catch (const std::exception& error) {
    log.error("server_certificate_not_reissued", error.what());
    return;
  }
  // One by one: a listener whose own files are broken must not keep the others from it.
  for (const auto& holder : tls) {
    try {
      holder->show(holder->prepare());
    } catch (const std::exception& error) {
      log.error("certificate_not_shown", error.what());
    }
  }
}

// Ports first, so that nothing new comes in; then sessions; then those that write; then the store.
void Application::Impl::stop() {
  stopping = true;
  admin_port.reset();
  enrolment_port.reset();
  metrics_port.reset();
  if (crl) {
    crl->stop();
  }
  if (server) {
    server->stop();
  }
  readers.reset();
  queue_readers.reset();
  memory_watch.reset();
  hashers.reset();
  signer.reset();
  backups.reset();
  if (audit) {
    audit->sum_up(true);
  }
  if (series) {
    series->stop();
  }
  if (space) {
    space->stop();
  }
  committer.reset();
  if (audit) {
    log_audit_head("audit_closed");
  }
  server.reset();
}

}  // namespace skerry::app
