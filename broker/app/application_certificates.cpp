// Making the parts that give certificates and take them back: services, enrolment tokens, the
// revocation list, renewal over MQTT, the enrolment port.
#include <stdexcept>

#include "app/application_impl.hpp"
#include "auth/est.hpp"

namespace skerry::app {

namespace {

void need(const storage::Status& status, const char* what) {
  if (!status.ok()) {
    throw std::runtime_error(std::string{what} + " cannot be read: " + status.detail);
  }
}

http::EndpointTable joined(http::EndpointTable left, http::EndpointTable right) {
  left.insert(left.end(), std::make_move_iterator(right.begin()),
              std::make_move_iterator(right.end()));
  return left;
}

}  // namespace

void Application::Impl::open_certificates() {
  const IdentityConfiguration& identity = configuration.identity;
  signer = std::make_unique<storage::ReaderPool>(1);
  service_registry = std::make_unique<auth::ServiceRegistry>(*audit);
  need(service_registry->load(*store), "the services");
  enrolment_tokens = std::make_unique<auth::EnrolmentTokens>(*audit);
  need(enrolment_tokens->load(*store), "the enrolment tokens");
  if (!authority->can_sign()) {
    log.warning("authority_unavailable",
                "the key of the device CA is not at hand: nobody enrols until it is back");
  }
  auth::IssuerOptions issuing{*authority, *registry, *signer};
  issuing.key_overlap = identity.key_overlap;
  issuing.log = [this](std::string_view line) { log.information("enrolment", line); };
  issuer = std::make_shared<auth::CertificateIssuer>(std::move(issuing));
  auth::CrlOptions listing{*authority, *committer, *signer, [this](WallTime now) {
                             return auth::revoked_certificates(*registry, *service_registry, now);
                           }};
  listing.interval = identity.crl_interval;
  listing.log = [this](std::string_view line) { log.warning("crl", line); };
  crl = std::make_shared<auth::CrlPublisher>(io, std::move(listing));
  need(crl->load(*store), "the revocation list");
  registry->on_change([this](const auth::Device&, auth::DeviceRegistry::Change) {
    const std::uint64_t epoch = registry->revocation_epoch();
    if (listed_epoch.exchange(epoch) != epoch) {
      crl->revoked();
    }
  });
  service_registry->on_end([this](const std::string& name, const std::string& serial) {
    crl->revoked();
    const auto nobody_waits = [](std::uint64_t) {};
    if (serial.empty()) {
      server->disconnect_owner("service:" + name, mqtt::Reason::administrative_action,
                               nobody_waits);
    } else {
      server->disconnect_certificate(serial, mqtt::Reason::administrative_action, nobody_waits);
    }
  });
}

void Application::Impl::make_renewal_tap() {
  auth::RenewalTapOptions renewal{*registry, *signer, *audit, issuer};
  renewal.device_ca_pem = authority->device_ca().pem();
  renewal.rules = {configuration.identity.renew_after_percent, configuration.identity.renew_grace};
  renewal.publish = [this](auth::RenewalAnswer answer) {
    plugin::BrokerMessage message;
    message.topic = std::move(answer.topic);
    message.payload = std::move(answer.payload);
    message.content_type = std::move(answer.content_type);
    message.correlation_data = std::move(answer.correlation_data);
    server->publish(std::move(message), [](const storage::Status&) {});
  };
  renewal_tap = std::make_unique<auth::RenewalTap>(std::move(renewal));
  taps = std::make_unique<plugin::TapChain>(
      std::vector<plugin::MessageTap*>{tap.get(), renewal_tap.get()});
}

void Application::Impl::make_enrolment_port() {
  auth::EstOptions est{*authority, *registry, *enrolment_tokens, *audit, issuer};
  est.mode = configuration.identity.enrolment_mode;
  est.renewal = {configuration.identity.renew_after_percent, configuration.identity.renew_grace};
  est.log = [this](std::string_view line) { log.information("enrolment", line); };
  http::ServerOptions port;
  port.name = "enrolment";
  port.bind = configuration.identity.enrolment_bind;
  port.doors = http_doors();
  port.log = [this](std::string_view line) { log.information("enrolment_http", line); };
  port.tls = hold_tls([this] {
               const auth::ServerCertificate shown = authority->server_certificate();
               transport::TlsOptions options_of_tls;
               options_of_tls.certificate_chain_pem = shown.chain_pem;
               options_of_tls.private_key_pem = shown.private_key_pem;
               options_of_tls.client_certificate = transport::ClientCertificate::any_self_signed;
               return options_of_tls;
             }).source();
  enrolment_port = std::make_unique<http::Server>(
      io, std::move(port), joined(auth::est_endpoints(std::move(est)), auth::crl_endpoints(crl)));
}

}  // namespace skerry::app
