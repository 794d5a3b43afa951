#include "auth/est.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "auth/token_bucket.hpp"
#include "base/limits.hpp"
#include "crypto/encoding.hpp"
#include "crypto/pkcs7.hpp"
#include "crypto/request.hpp"
#include "http/await.hpp"

namespace skerry::auth {

namespace {

using boost::asio::awaitable;
using crypto::CertificateRequest;
using http::Response;

constexpr std::size_t line_length = 64;

/// A device that may be given a certificate for this key.
struct Applicant {
  std::string id;
  std::string fingerprint;
  std::string spki_der;
};

class EstService : public std::enable_shared_from_this<EstService> {
 public:
  explicit EstService(EstOptions options)
      : options_(std::move(options)),
        bucket_(options_.signatures_per_second, options_.signatures_burst) {}

  Response authorities() const;
  awaitable<Response> enroll(const http::Request& request);

 private:
  std::optional<Response> judge(const http::Request& request, Applicant& applicant) const;
  std::optional<Response> judge_registration(Applicant& applicant) const;
  awaitable<Response> issue(Applicant applicant, std::string peer_address);

  EstOptions options_;
  TokenBucket bucket_;
};

Response pkcs7_response(const std::string& der, std::string content_type) {
  Response response;
  response.content_type = std::move(content_type);
  response.body = crypto::base64_encode(der, line_length);
  response.headers.emplace_back("Content-Transfer-Encoding", "base64");  // RFC 7030 section 4.1.3
  return response;
}

Response retry_later(int status, std::string_view code, std::string_view detail) {
  Response response = http::problem(status, code, detail);
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

/// The request is base64 of DER (RFC 7030 section 4.2.1); PEM, which is what openssl writes, is the
/// same with a line before and behind.
std::optional<std::string> decode_body(std::string_view body) {
  for (const std::string_view label : {"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"}) {
    if (auto der = crypto::pem_decode(label, body, enrolment_bytes_max)) {
      return der;
    }
  }
  return crypto::base64_decode(body, enrolment_bytes_max);
}

/// Empty when the certificate that was shown in the handshake cannot be read.
std::string fingerprint_of_certificate(const std::string& der) {
  const auto certificate = crypto::Certificate::from_der(der);
  if (!certificate) {
    return {};
  }
  const auto fields = certificate->fields();
  return fields ? fields->fingerprint : std::string{};
}

Response EstService::authorities() const {
  const auto der = crypto::pkcs7_from(
      {options_.authority.root(), options_.authority.device_ca(), options_.authority.server_ca()});
  if (!der) {
    return http::problem(500, "internal", der.error().what);
  }
  return pkcs7_response(*der, "application/pkcs7-mime");
}

/// Everything that needs no signature of ours. Sets the applicant or gives the refusal.
std::optional<Response> EstService::judge(const http::Request& request,
                                          Applicant& applicant) const {
  const std::optional<std::string> der = decode_body(request.body);
  if (!der) {
    return http::problem(400, "malformed_csr", "the body is not base64 of at most 64 KiB");
  }
  const auto parsed = CertificateRequest::from_der(*der);
  if (!parsed) {
    return http::problem(400, "malformed_csr", parsed.error().what);
  }
  // The key is judged before the signature, so that an oversized one costs us nothing.
  if (const std::string_view reason = parsed->check_key(); !reason.empty()) {
    return http::problem(400, "key_not_accepted", reason);
  }
  if (!parsed->is_signed_by_own_key()) {
    return http::problem(400, "bad_csr_signature",
                         "the request is not signed by the key that it is about");
  }
  if (!request.client_certificate.empty() &&
      fingerprint_of_certificate(request.client_certificate) != parsed->fingerprint()) {
    return http::problem(403, "key_mismatch",
                         "the key of the request is not the key of the TLS client certificate");
  }
  applicant.fingerprint = parsed->fingerprint();
  applicant.spki_der = parsed->spki_der();
  return judge_registration(applicant);
}

std::optional<Response> EstService::judge_registration(Applicant& applicant) const {
  const DevicePointer device = options_.registry.find_by_fingerprint(applicant.fingerprint);
  if (!device) {
    return http::problem(403, "not_in_registry",
                         "no device is registered with the key " + applicant.fingerprint);
  }
  switch (device->state) {
    case DeviceState::preauthorised:
    case DeviceState::enrolled:
      applicant.id = device->id;
      return std::nullopt;
    case DeviceState::pending:
    case DeviceState::suspended:
    case DeviceState::retired:
      break;
  }
  return http::problem(403, "not_in_registry",
                       "the device is " + std::string{name_of(device->state)});
}

awaitable<Response> EstService::issue(Applicant applicant, std::string peer_address) {
  const Now now = options_.clock();
  using Issued = Result<crypto::Certificate, crypto::Failure>;
  // Owns the service: the job may outlive the connection that asked.
  const auto sign = [self = shared_from_this(), applicant, now] {
    return self->options_.authority.issue_device_certificate(applicant.id, applicant.spki_der,
                                                             now.wall);
  };
  // Named, not written into the co_await: g++ 12 destroys such temporaries twice.
  bool is_busy = false;
  const auto refuse = [&is_busy]() -> Issued {
    is_busy = true;
    return crypto::Failure{"the signer has too much to do"};
  };
  const Issued issued = co_await http::run_blocking<Issued>(options_.signer, sign, refuse);
  if (is_busy) {
    co_return retry_later(503, "signer_busy", "the signer has too much to do; try again");
  }
  if (!issued) {
    co_return http::problem(500, "signing_failed", issued.error().what);
  }
  const auto fields = issued->fields();
  if (!fields) {
    co_return http::problem(500, "signing_failed", fields.error().what);
  }
  // Recorded and durable before it leaves: a certificate that we do not know would not be revoked.
  const auto record = [&](auto done) {
    ChangeRequest change;
    change.now = now.wall;
    change.actor = {"device:" + applicant.id, peer_address};
    options_.registry.record_certificate(
        applicant.id,
        {applicant.fingerprint, {fields->serial, fields->not_after, fields->not_before}},
        std::move(change), done);
  };
  const RegistryOutcome recorded = co_await http::await_callback<RegistryOutcome>(record);
  if (!recorded) {
    co_return recorded.error().code == RegistryError::storage
        ? retry_later(503, "storage_unavailable", recorded.error().what)
        : http::problem(403, "not_in_registry", recorded.error().what);
  }
  const auto der = crypto::pkcs7_from({*issued});
  if (!der) {
    co_return http::problem(500, "signing_failed", der.error().what);
  }
  options_.log("issued certificate " + fields->serial + " to device " + applicant.id);
  // RFC 7030 section 4.2.3: nothing but the certificate that was issued.
  co_return pkcs7_response(*der, "application/pkcs7-mime; smime-type=certs-only");
}

awaitable<Response> EstService::enroll(const http::Request& request) {
  const auto self = shared_from_this();
  Applicant applicant;
  if (std::optional<Response> refusal = judge(request, applicant)) {
    options_.log("enrolment refused for " + request.peer_address + ": " + refusal->body);
    co_return std::move(*refusal);
  }
  if (!bucket_.take(options_.clock().steady)) {
    co_return retry_later(429, "too_many_enrolments", "too many enrolments at once; try again");
  }
  co_return co_await issue(std::move(applicant), request.peer_address);
}

}  // namespace

http::EndpointTable est_endpoints(EstOptions options) {
  const auto service = std::make_shared<EstService>(std::move(options));
  http::Endpoint authorities;
  authorities.method = "GET";
  authorities.route = "/.well-known/est/cacerts";
  authorities.guard = http::Guard::none;
  authorities.body_bytes_max = 0;
  authorities.handler = [service](const http::Request&) -> awaitable<Response> {
    co_return service->authorities();
  };
  http::Endpoint enroll;
  enroll.method = "POST";
  enroll.route = "/.well-known/est/simpleenroll";
  enroll.guard = http::Guard::none;
  enroll.body_bytes_max = enrolment_bytes_max;
  enroll.handler = [service](const http::Request& request) { return service->enroll(request); };
  return {std::move(authorities), std::move(enroll)};
}

}  // namespace skerry::auth
