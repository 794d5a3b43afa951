#include "auth/issuer.hpp"

#include <utility>

#include "base/assert.hpp"

namespace skerry::auth {

void throw_exception_from_error(const Refusal& refusal, const boost::source_location& where) {
  assertion_failed(refusal.code, where.file_name(), static_cast<int>(where.line()));
}

Refusal refusal_of(const RegistryFailure& failure) {
  using std::chrono::seconds;
  switch (failure.code) {
    case RegistryError::storage:
      return {503, "storage_unavailable", failure.what, seconds{1}};
    case RegistryError::key_taken:
      return {403, "key_in_use", "the key belongs to another device"};
    case RegistryError::rejected:
      return {403, "enrolment_rejected", failure.what};
    case RegistryError::limit:
      return {429, "limit", failure.what, seconds{3600}};
    case RegistryError::exists:
    case RegistryError::revision_mismatch:
      return {409, "conflict", failure.what, seconds{1}};
    case RegistryError::invalid_state:
      return {403, "device_locked_out", failure.what};
    case RegistryError::invalid_id:
    case RegistryError::invalid_fingerprint:
    case RegistryError::invalid_field:
      return {400, "invalid_device_id", failure.what};
    case RegistryError::not_found:
    case RegistryError::key_not_found:
    case RegistryError::certificate_not_found:
    case RegistryError::fingerprint_mismatch:
      break;
  }
  return {403, "not_in_registry", failure.what};
}

CertificateIssuer::CertificateIssuer(IssuerOptions options)
    : options_(std::move(options)),
      bucket_(options_.signatures_per_second, options_.signatures_burst) {}

bool CertificateIssuer::begin(const std::string& fingerprint) {
  const std::lock_guard lock{mutex_};
  return under_way_.insert(fingerprint).second;
}

void CertificateIssuer::end(const std::string& fingerprint) {
  const std::lock_guard lock{mutex_};
  under_way_.erase(fingerprint);
}

void CertificateIssuer::issue(IssueOrder order, Done done) {
  using std::chrono::seconds;
  if (!begin(order.fingerprint)) {
    done(Refusal{409, "enrolment_in_progress",
                 "a certificate for this key is being made at this moment", seconds{1}});
    return;
  }
  if (!bucket_.take(options_.clock().steady)) {
    end(order.fingerprint);
    done(Refusal{429, "too_many_enrolments", "too many enrolments at once; try again", seconds{1}});
    return;
  }
  const std::string fingerprint = order.fingerprint;
  // Whatever the end: the key is free again before anybody hears of it.
  Done finish = [self = shared_from_this(), fingerprint, done](IssueOutcome outcome) {
    self->end(fingerprint);
    done(std::move(outcome));
  };
  const bool taken = options_.signer.run([self = shared_from_this(), order = std::move(order),
                                          finish] { self->sign_and_record(order, finish); });
  if (!taken) {
    finish(Refusal{503, "signer_busy", "the signer has too much to do; try again", seconds{1}});
  }
}

void CertificateIssuer::sign_and_record(const IssueOrder& order, const Done& done) {
  auto issued = options_.authority.issue_device_certificate(order.device, order.spki_der,
                                                            options_.clock().wall);
  if (!issued) {
    done(issued.error().unavailable
             ? Refusal{503, "authority_unavailable", issued.error().what, std::chrono::seconds{60}}
             : Refusal{500, "signing_failed", issued.error().what});
    return;
  }
  auto fields = issued->fields();
  if (!fields) {
    done(Refusal{500, "signing_failed", fields.error().what});
    return;
  }
  record(order, {*std::move(issued), *std::move(fields)}, done);
}

// Recorded and durable before it leaves: a certificate that we do not know would not be revoked.
void CertificateIssuer::record(const IssueOrder& order, const Signed& made, const Done& done) {
  const WallTime now = options_.clock().wall;
  IssuedCertificate issued;
  issued.fingerprint = order.fingerprint;
  issued.certificate = {made.fields.serial, made.fields.not_after, now};
  if (!order.replaces.empty()) {
    issued.replaces = order.replaces;
    issued.overlap_end = now + options_.key_overlap;
  }
  const auto finish = [self = shared_from_this(), device = order.device, made,
                       done](const RegistryOutcome& outcome) {
    if (!outcome) {
      done(refusal_of(outcome.error()));
      return;
    }
    self->options_.log("issued certificate " + made.fields.serial + " to device " + device);
    done(Issued{made.certificate, made.fields.serial, made.fields.not_after});
  };
  options_.registry.record_certificate(order.device, std::move(issued), {now, order.actor}, finish);
}

}  // namespace skerry::auth
