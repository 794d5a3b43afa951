#include "auth/renewal.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "auth/client_certificate.hpp"
#include "base/limits.hpp"
#include "crypto/encoding.hpp"

namespace skerry::auth {

namespace {

using std::chrono::seconds;

std::optional<std::string> decode_body(std::string_view body) {
  for (const std::string_view label : {"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"}) {
    if (auto der = crypto::pem_decode(label, body, enrolment_bytes_max)) {
      return der;
    }
  }
  return crypto::base64_decode(body, enrolment_bytes_max);
}

Refusal superseded() {
  return {403, "certificate_superseded",
          "the certificate or its key has been replaced; use the newer one, or enrol again"};
}

std::optional<Refusal> refuse_device(const Device& device, WallTime now) {
  if (device.is_expired(now)) {
    return Refusal{403, "device_expired", "the device's right to connect has ended"};
  }
  switch (device.state) {
    case DeviceState::enrolled:
      return std::nullopt;
    case DeviceState::suspended:
      return Refusal{403, "device_suspended", "the device is suspended"};
    case DeviceState::retired:
      return Refusal{403, "device_retired", "the device is retired"};
    case DeviceState::preauthorised:
    case DeviceState::pending:
      break;
  }
  return Refusal{403, "not_enrolled", "the device is not enrolled"};
}

/// Times without `issued` come from a version before that field: renewed at any time.
std::optional<Refusal> refuse_time(const DeviceCertificate& recorded, const RenewalRules& rules,
                                   WallTime now) {
  if (now >= recorded.not_after + rules.grace) {
    return Refusal{403, "certificate_expired",
                   "the certificate expired too long ago to be renewed; enrol again"};
  }
  if (recorded.issued == WallTime{}) {
    return std::nullopt;
  }
  const auto life = recorded.not_after - recorded.issued;
  const WallTime begin = recorded.issued + life * rules.after_percent / 100;
  if (now >= begin) {
    return std::nullopt;
  }
  return Refusal{403, "too_early", "the certificate is too young to be renewed",
                 std::chrono::ceil<seconds>(begin - now)};
}

/// Appends until when each of the key's certificates that is newer than `current` is too young for
/// yet another one beside it, those that are not left out.
void append_young(const DeviceKey& key, WallTime current, WallTime now,
                  std::vector<WallTime>& ends) {
  constexpr int share_of_life = 20;
  for (const DeviceCertificate& certificate : key.certificates) {
    const WallTime end =
        certificate.issued + (certificate.not_after - certificate.issued) / share_of_life;
    if (certificate.issued > current && end > now) {
      ends.push_back(end);
    }
  }
}

/// What came of earlier renewals: newer certificates of the key, and keys that are as new as those.
std::optional<Refusal> refuse_repetition(const Device& device, const DeviceKey& own,
                                         const DeviceCertificate& recorded, WallTime now) {
  std::vector<WallTime> ends;
  for (const DeviceKey& key : device.keys) {
    const bool is_another_old_one =
        &key != &own && std::any_of(key.certificates.begin(), key.certificates.end(),
                                    [&](const DeviceCertificate& certificate) {
                                      return certificate.issued <= recorded.issued;
                                    });
    if (!is_another_old_one) {
      append_young(key, recorded.issued, now, ends);
    }
  }
  if (ends.size() < renewals_repeated_max) {
    return std::nullopt;
  }
  std::sort(ends.begin(), ends.end());
  const WallTime again = ends[ends.size() - renewals_repeated_max];
  return Refusal{403, "too_early",
                 "the certificate has been renewed several times already; use what was issued",
                 std::chrono::ceil<seconds>(again - now)};
}

}  // namespace

Result<CurrentCertificate, Refusal> read_current_certificate(std::string_view der,
                                                             const crypto::Certificate& device_ca) {
  const auto certificate = crypto::Certificate::from_der(der);
  if (!certificate) {
    return Refusal{403, "certificate_malformed", "the client certificate cannot be read"};
  }
  const auto fields = certificate->fields();
  if (!fields) {
    return Refusal{403, "certificate_malformed", "the client certificate has malformed extensions"};
  }
  const auto client = client_name_of(*fields);
  if (!client || client->kind != ClientKind::device || !is_for_clients(*fields) ||
      !certificate->is_signed_by(device_ca)) {
    return Refusal{403, "certificate_not_ours",
                   "a renewal needs the device certificate that this gateway has issued"};
  }
  return CurrentCertificate{client->name, fields->serial, fields->fingerprint};
}

std::optional<Refusal> refuse_renewal(const CurrentCertificate& current, const RenewalRules& rules,
                                      const DeviceRegistry& registry, WallTime now) {
  if (registry.is_revoked(current.serial)) {
    return Refusal{403, "certificate_revoked", "the certificate has been revoked"};
  }
  const DevicePointer device = registry.find(current.device);
  if (!device) {
    return Refusal{403, "not_in_registry", "the device is not registered"};
  }
  if (auto refusal = refuse_device(*device, now)) {
    return refusal;
  }
  const DeviceKey* key = device->key(current.fingerprint);
  if (key == nullptr || (key->not_after && *key->not_after <= now)) {
    return superseded();
  }
  const auto recorded = std::find_if(
      key->certificates.begin(), key->certificates.end(),
      [&](const DeviceCertificate& certificate) { return certificate.serial == current.serial; });
  if (recorded == key->certificates.end()) {
    return superseded();
  }
  if (auto refusal = refuse_time(*recorded, rules, now)) {
    return refusal;
  }
  return rules.after_percent == 0 ? std::nullopt : refuse_repetition(*device, *key, *recorded, now);
}

Result<crypto::CertificateRequest, Refusal> read_request(std::string_view body) {
  const std::optional<std::string> der = decode_body(body);
  if (!der) {
    return Refusal{400, "malformed_csr", "the body is not base64 of at most 64 KiB"};
  }
  auto parsed = crypto::CertificateRequest::from_der(*der);
  if (!parsed) {
    return Refusal{400, "malformed_csr", parsed.error().what};
  }
  // The key is judged before the signature, so that an oversized one costs us nothing.
  if (const std::string_view reason = parsed->check_key(); !reason.empty()) {
    return Refusal{400, "key_not_accepted", std::string{reason}};
  }
  return *std::move(parsed);
}

Refusal bad_signature() {
  return {400, "bad_csr_signature", "the request is not signed by the key that it is about"};
}

Result<IssueOrder, Refusal> judge_renewal_request(const crypto::CertificateRequest& request,
                                                  const CurrentCertificate& current,
                                                  const DeviceRegistry& registry) {
  const crypto::RequestNames names{current.device, std::string{certificate_organization},
                                   std::string{device_uri_prefix} + current.device};
  if (!request.keeps_names(names)) {
    return Refusal{400, "names_differ",
                   "subject and alternative names of the request must be left out or be exactly "
                   "those of the certificate (CN=" +
                       current.device + ", O=" + names.organization + "; URI:" + names.uri + ")"};
  }
  if (!request.is_signed_by_own_key()) {
    return bad_signature();
  }
  IssueOrder order;
  order.device = current.device;
  order.spki_der = request.spki_der();
  order.fingerprint = request.fingerprint();
  order.actor.name = "device:" + current.device;
  if (order.fingerprint != current.fingerprint) {
    const DevicePointer owner = registry.find_by_fingerprint(order.fingerprint);
    if (owner && owner->id != current.device) {
      return Refusal{403, "key_in_use", "the new key belongs to another device"};
    }
    order.replaces = current.fingerprint;
  }
  return order;
}

}  // namespace skerry::auth
