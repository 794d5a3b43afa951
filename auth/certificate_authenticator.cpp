#include "auth/certificate_authenticator.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "auth/client_certificate.hpp"
#include "auth/policy_source.hpp"

namespace skerry::auth {

namespace {

using mqtt::Reason;
using mqtt::Violation;

Violation refuse(const char* what) {
  return {Reason::not_authorized, what};
}
Violation ban(const char* what) {
  return {Reason::banned, what};
}

/// What a certificate says by itself, without a look at the registry.
std::optional<Violation> check_fields(const crypto::CertificateFields& fields, WallTime now) {
  if (now < fields.not_before) {
    return refuse("the client certificate is not valid yet; are both clocks right?");
  }
  if (now >= fields.not_after) {
    return refuse("the client certificate has expired; enrol again");
  }
  if (!is_for_clients(fields)) {
    return refuse("the certificate is not made for clients (extended key usage clientAuth alone)");
  }
  return std::nullopt;
}

const DeviceCertificate* recorded(const DeviceKey& key, std::string_view serial) {
  const auto found =
      std::find_if(key.certificates.begin(), key.certificates.end(),
                   [&](const auto& certificate) { return certificate.serial == serial; });
  return found == key.certificates.end() ? nullptr : &*found;
}

std::optional<Violation> check_registration(const DeviceRegistry& registry,
                                            const plugin::Identity& identity, WallTime now) {
  if (registry.is_revoked(identity.certificate_serial)) {
    return ban("the client certificate has been revoked");
  }
  const DevicePointer device = registry.find(identity.name);
  if (!device) {
    return refuse("the device is not registered");
  }
  switch (device->state) {
    case DeviceState::enrolled:
      break;
    case DeviceState::preauthorised:
    case DeviceState::pending:
      return refuse("the device is not enrolled");
    case DeviceState::suspended:
      return ban("the device is suspended");
    case DeviceState::retired:
      return ban("the device is retired");
  }
  if (device->is_expired(now)) {
    return ban("the device's right to connect has ended");
  }
  const DeviceKey* key = device->key(identity.key_fingerprint);
  if (key == nullptr) {
    return refuse("the certificate's key is not registered for this device");
  }
  if (key->not_after && *key->not_after <= now) {
    return ban("the right of this key has ended; use the one that took over");
  }
  if (recorded(*key, identity.certificate_serial) == nullptr) {
    return ban("the client certificate has been superseded; enrol again");
  }
  return std::nullopt;
}

std::optional<Violation> check_service(const ServiceRegistry* services,
                                       const plugin::Identity& identity) {
  if (services == nullptr) {
    return refuse("services do not connect by this listener");
  }
  if (services->is_revoked(identity.certificate_serial)) {
    return ban("the client certificate has been revoked");
  }
  const ServicePointer service = services->find(identity.name);
  if (!service) {
    return refuse("the service is not registered");
  }
  const ServiceCertificate* certificate = service->certificate(identity.certificate_serial);
  if (certificate == nullptr || certificate->fingerprint != identity.key_fingerprint) {
    return ban("the client certificate was not issued to this service");
  }
  return std::nullopt;
}

/// The session must not outlive the certificate, the device's right or that of its key.
WallTime end_of_right(const DeviceRegistry& registry, const plugin::Identity& identity) {
  WallTime end = identity.not_after;
  if (const DevicePointer device = registry.find(identity.name)) {
    end = std::min(end, device->not_after.value_or(end));
    const DeviceKey* key = device->key(identity.key_fingerprint);
    end = key == nullptr ? end : std::min(end, key->not_after.value_or(end));
  }
  return end;
}

}  // namespace

CertificateAuthenticator::CertificateAuthenticator(const DeviceRegistry& registry,
                                                   crypto::Certificate device_ca, Clock clock,
                                                   const ServiceRegistry* services,
                                                   const RevocationLists* lists)
    : registry_(registry),
      device_ca_(std::move(device_ca)),
      clock_(std::move(clock)),
      services_(services),
      lists_(lists),
      issuer_(RevocationLists::issuer_of(device_ca_)) {}

/// By the issuer that the identity was found with, which may be that of another listener.
bool CertificateAuthenticator::is_listed(const plugin::Identity& identity) const {
  return lists_ != nullptr && lists_->contains(identity.proof_id, identity.certificate_serial);
}

bool CertificateAuthenticator::is_revoked(const plugin::Identity& identity) const {
  return registry_.is_revoked(identity.certificate_serial) || is_listed(identity);
}

void CertificateAuthenticator::authenticate(const plugin::Credentials& credentials, SteadyTime,
                                            Done done) {
  done(identify(credentials));
}

Result<plugin::Identity, Violation> CertificateAuthenticator::identify(
    const plugin::Credentials& credentials) const {
  if (credentials.certificate_chain.empty()) {
    return refuse("this listener needs a client certificate");
  }
  const auto leaf = crypto::Certificate::from_der(credentials.certificate_chain.front());
  if (!leaf) {
    return refuse("the client certificate cannot be read");
  }
  const auto fields = leaf->fields();
  if (!fields) {
    return refuse("the client certificate has malformed extensions");
  }
  const WallTime now = clock_();
  if (const auto violation = check_fields(*fields, now)) {
    return *violation;
  }
  const std::optional<ClientName> client = client_name_of(*fields);
  if (!client) {
    return refuse("the client certificate does not name exactly one device (SAN URI)");
  }
  if (!leaf->is_signed_by(device_ca_)) {
    return refuse("the client certificate was not issued by this gateway's device CA");
  }
  if (lists_ != nullptr && lists_->contains(issuer_, fields->serial)) {
    return ban("the client certificate has been revoked, says its authority's revocation list");
  }
  plugin::Identity identity;
  identity.kind = plugin::IdentityKind::device;
  identity.policy = credentials.policy;
  identity.policy_name = credentials.policy_name;
  identity.proof = plugin::Proof::certificate;
  identity.name = client->name;
  identity.certificate_serial = fields->serial;
  identity.key_fingerprint = fields->fingerprint;
  if (lists_ != nullptr && !lists_->empty()) {
    identity.proof_id = issuer_;
  }
  identity.not_after = fields->not_after;
  if (client->kind == ClientKind::service) {
    return identify_service(std::move(identity));
  }
  if (const auto violation = check_registration(registry_, identity, now)) {
    return *violation;
  }
  identity.not_after = end_of_right(registry_, identity);
  return identity;
}

Result<plugin::Identity, Violation> CertificateAuthenticator::identify_service(
    plugin::Identity identity) const {
  if (const auto violation = check_service(services_, identity)) {
    return *violation;
  }
  identity.kind = plugin::IdentityKind::service;
  const ServicePointer service = services_->find(identity.name);
  if (!service) {
    return refuse("the service is not registered");
  }
  set_policy(identity, service->policy);
  return identity;
}

// The order matters for sessions that wait for their device: a certificate that has merely run out
// takes nothing with it, whatever has been forgotten about it since.
plugin::Standing CertificateAuthenticator::standing(const plugin::Identity& identity,
                                                    WallTime now) const {
  using State = plugin::Standing::State;
  if (identity.kind == plugin::IdentityKind::service && !identity.certificate_serial.empty()) {
    return standing_of_service(identity, now);
  }
  if (identity.kind != plugin::IdentityKind::device) {
    return {now < identity.not_after ? State::valid : State::expired, identity.not_after};
  }
  const DevicePointer device = registry_.find(identity.name);
  if (!device) {
    return {State::erased};
  }
  if (device->state == DeviceState::retired) {
    return {State::retired};
  }
  // Whatever the device is now: it may be another one, registered under the id of one that is gone.
  if (!identity.certificate_serial.empty() && is_revoked(identity)) {
    return {State::revoked};
  }
  if (device->state == DeviceState::suspended) {
    return {State::suspended};
  }
  if (device->state != DeviceState::enrolled) {
    return {State::denied};
  }
  if (device->is_expired(now)) {
    return {State::expired};
  }
  if (identity.certificate_serial.empty()) {
    return {State::valid, device->not_after.value_or(WallTime::max())};  // of an older record
  }
  return standing_of_certificate(*device, identity, now);
}

plugin::Standing CertificateAuthenticator::standing_of_certificate(const Device& device,
                                                                   const plugin::Identity& identity,
                                                                   WallTime now) const {
  using State = plugin::Standing::State;
  const DeviceKey* key = device.key(identity.key_fingerprint);
  const DeviceCertificate* certificate =
      key == nullptr ? nullptr : recorded(*key, identity.certificate_serial);
  if (certificate == nullptr) {  // superseded, or forgotten because it has run out
    return {now < identity.not_after ? State::revoked : State::expired};
  }
  // What the registry says, not what the identity was told at first: an end may have been moved.
  const WallTime until =
      std::min({certificate->not_after, device.not_after.value_or(WallTime::max()),
                key->not_after.value_or(WallTime::max())});
  return {now < until ? State::valid : State::expired, until};
}

plugin::Standing CertificateAuthenticator::standing_of_service(const plugin::Identity& identity,
                                                               WallTime now) const {
  using State = plugin::Standing::State;
  if (services_ == nullptr || !services_->find(identity.name)) {
    return {State::erased};
  }
  if (now >= identity.not_after) {
    return {State::expired};
  }
  const bool revoked = is_listed(identity) || check_service(services_, identity).has_value();
  return revoked ? plugin::Standing{State::revoked}
                 : plugin::Standing{State::valid, identity.not_after};
}

}  // namespace skerry::auth
