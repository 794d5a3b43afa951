#include "auth/est.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "auth/est_request.hpp"
#include "base/limits.hpp"
#include "crypto/csr_attributes.hpp"
#include "crypto/encoding.hpp"
#include "crypto/pkcs7.hpp"
#include "http/await.hpp"

namespace skerry::auth {

namespace {

using boost::asio::awaitable;
using http::Response;
using std::chrono::seconds;

constexpr std::size_t line_length = 64;
/// How soon a device that waits for a human should ask again.
constexpr seconds approval_retry{30};

using Admission = Result<IssueOrder, Refusal>;

class EstService : public std::enable_shared_from_this<EstService> {
 public:
  explicit EstService(EstOptions options)
      : options_(std::move(options)), limiter_(options_.attempts) {}

  Response authorities() const;
  awaitable<Response> enroll(const http::Request& request);
  awaitable<Response> reenroll(const http::Request& request);

 private:
  std::optional<Response> begin(const http::Request& request);
  std::optional<Refusal> refuse_device(const Device& device) const;
  Admission judge_registered(const Device& device, IssueOrder order) const;
  std::optional<Refusal> refuse_replay(const Device& device, std::string_view fingerprint,
                                       const http::Request& request) const;
  awaitable<Admission> admit(const http::Request& request);
  awaitable<Admission> admit_by_token(BasicCredentials credentials, IssueOrder order);
  awaitable<Admission> ask_a_human(const crypto::CertificateRequest& csr, IssueOrder order);
  Admission judge_renewal(const http::Request& request) const;
  awaitable<Response> issue(IssueOrder order, const char* action, std::string address);
  Response refuse(const Refusal& refusal, const char* action, const std::string& address,
                  const std::string& object);

  EstOptions options_;
  AttemptLimiter limiter_;
};

Response base64_response(const std::string& der, std::string content_type) {
  Response response;
  response.content_type = std::move(content_type);
  response.body = crypto::base64_encode(der, line_length);
  response.headers.emplace_back("Content-Transfer-Encoding", "base64");  // RFC 7030 section 4.1.3
  return response;
}

Response response_of(const Refusal& refusal) {
  Response response = http::problem(refusal.status, refusal.code, refusal.what);
  if (refusal.retry_after) {
    response.headers.emplace_back("Retry-After", std::to_string(refusal.retry_after->count()));
  }
  if (refusal.status == 401) {
    response.headers.emplace_back("WWW-Authenticate", "Basic realm=\"skerry enrolment\"");
  }
  return response;
}

Response EstService::authorities() const {
  const auto der = crypto::pkcs7_from(
      {options_.authority.root(), options_.authority.device_ca(), options_.authority.server_ca()});
  if (!der) {
    return http::problem(500, "internal_error", der.error().what);
  }
  return base64_response(*der, "application/pkcs7-mime");
}

/// Takes an attempt of the address; it is given back when it was right.
std::optional<Response> EstService::begin(const http::Request& request) {
  const auto wait = limiter_.begin(request.peer_address, options_.clock().steady);
  if (!wait) {
    return std::nullopt;
  }
  return response_of(
      {429, "too_many_attempts", "too many refused requests from this address", *wait});
}

/// A recorded request could be sent again by anybody. What it brings is of use to the holder of the
/// key alone, but it must not push out the certificates that the device has.
std::optional<Refusal> EstService::refuse_replay(const Device& device, std::string_view fingerprint,
                                                 const http::Request& request) const {
  const DeviceKey* key = device.key(fingerprint);
  if (!request.client_certificate.empty() || key == nullptr) {
    return std::nullopt;
  }
  const WallTime now = options_.clock().wall;
  const auto good = std::count_if(
      key->certificates.begin(), key->certificates.end(),
      [now](const DeviceCertificate& certificate) { return now < certificate.not_after; });
  if (static_cast<std::size_t>(good) < unproven_certificates_per_key_max) {
    return std::nullopt;
  }
  return Refusal{403, "proof_needed",
                 "the key has certificates enough; show that you hold it by a TLS client "
                 "certificate over it, self-signed or not"};
}

/// Why a device is let in by none of its keys, or nothing.
std::optional<Refusal> EstService::refuse_device(const Device& device) const {
  if (device.is_expired(options_.clock().wall)) {
    return Refusal{403, "device_expired", "the device's right to enrol has ended"};
  }
  switch (device.state) {
    case DeviceState::preauthorised:
    case DeviceState::enrolled:
      return std::nullopt;
    case DeviceState::pending:
      if (options_.mode == EnrolmentMode::approval) {
        return Refusal{202, "approval_pending", "the device waits for a human's approval",
                       approval_retry};
      }
      return Refusal{403, "not_in_registry", "the device has not been approved"};
    case DeviceState::suspended:
      return Refusal{403, "device_suspended", "the device is suspended"};
    case DeviceState::retired:
      return Refusal{403, "device_retired", "the device is retired"};
  }
  return Refusal{403, "not_in_registry", "the device is in no state to enrol"};
}

Admission EstService::judge_registered(const Device& device, IssueOrder order) const {
  const DeviceKey* key = device.key(order.fingerprint);
  if (key == nullptr || (key->not_after && *key->not_after <= options_.clock().wall)) {
    return Refusal{403, "key_expired", "the key has been replaced by another one of the device"};
  }
  if (auto refusal = refuse_device(device)) {
    return *std::move(refusal);
  }
  order.device = device.id;
  order.actor.name = "device:" + device.id;
  return order;
}

awaitable<Admission> EstService::admit(const http::Request& request) {
  auto read = read_est_request(request);
  if (!read) {
    co_return std::move(read).error();
  }
  const crypto::CertificateRequest& csr = read->csr;
  if (auto refusal = refuse_other_key(request, csr)) {
    co_return *std::move(refusal);
  }
  // Before the registry is asked: who does not hold a key learns nothing of it.
  if (!csr.is_signed_by_own_key()) {
    co_return bad_signature();
  }
  IssueOrder order;
  order.fingerprint = csr.fingerprint();
  order.spki_der = csr.spki_der();
  order.actor.address = request.peer_address;
  const DevicePointer device = options_.registry.find_by_fingerprint(order.fingerprint);
  if (device && !(device->state == DeviceState::pending && read->credentials)) {
    if (auto refusal = refuse_replay(*device, order.fingerprint, request)) {
      co_return *std::move(refusal);
    }
    co_return judge_registered(*device, std::move(order));
  }
  if (read->credentials) {
    co_return co_await admit_by_token(*std::move(read->credentials), std::move(order));
  }
  if (options_.mode == EnrolmentMode::approval) {
    co_return co_await ask_a_human(csr, std::move(order));
  }
  co_return Refusal{403, "not_in_registry",
                    "no device is registered with the key " + order.fingerprint};
}

/// Registers the key and counts the use of the token by one commit: a crash leaves both or neither.
awaitable<Admission> EstService::admit_by_token(BasicCredentials credentials, IssueOrder order) {
  const WallTime now = options_.clock().wall;
  const EnrolmentToken* found = options_.tokens.find_secret(credentials.password, now);
  if (found == nullptr) {
    co_return Refusal{401, "wrong_token",
                      "the enrolment token is unknown, expired, deleted or used up"};
  }
  const EnrolmentToken token = *found;
  const std::string id = credentials.user.empty() ? token.device : credentials.user;
  if (!is_valid_device_id(id)) {
    co_return Refusal{400, "invalid_device_id", "the user name is not a device id"};
  }
  if (!token.device.empty() && token.device != id) {
    co_return Refusal{403, "token_for_another_device", "the enrolment token is for another device"};
  }
  const DevicePointer device = options_.registry.find(id);
  const bool is_new = !device || device->state == DeviceState::pending;
  if (!is_new && token.device.empty()) {
    co_return Refusal{409, "device_exists",
                      "the enrolment token is for new devices, and this id is taken"};
  }
  // Before the token is used: a key of a device that is locked out would count once it is not.
  if (!is_new) {
    if (auto refusal = refuse_device(*device)) {
      co_return *std::move(refusal);
    }
  }
  auto use = options_.tokens.begin_use(token.id, id, now);
  if (!use) {
    co_return Refusal{401, "wrong_token", "the enrolment token is used up"};
  }
  ChangeRequest change;
  change.now = now;
  change.actor = {"enrolment-token:" + token.id, order.actor.address};
  change.also = *std::move(use);
  auto store = [&](auto done) {
    if (is_new) {
      DevicePatch details;
      details.keys = {KeyWish{order.fingerprint}};
      details.model = token.model;
      details.tags = token.tags;
      options_.registry.create(id, std::move(details), std::move(change), done);
    } else {
      options_.registry.add_key(id, KeyWish{order.fingerprint}, std::move(change), done);
    }
  };
  const auto outcome = co_await http::await_callback<RegistryOutcome>(std::move(store));
  if (!outcome) {
    options_.tokens.cancel_use(token.id);
    co_return refusal_of(outcome.error());
  }
  co_return judge_registered(**outcome, std::move(order));
}

awaitable<Admission> EstService::ask_a_human(const crypto::CertificateRequest& csr,
                                             IssueOrder order) {
  const crypto::RequestSubject subject = csr.subject();
  ApprovalRequest wish;
  wish.fingerprint = order.fingerprint;
  wish.proposed_id = subject.common_name;
  wish.subject = subject.text;
  wish.key_type = csr.key_type();
  wish.address = order.actor.address;
  const WallTime now = options_.clock().wall;
  auto ask = [&](auto done) { options_.registry.request_approval(wish, now, done); };
  const auto outcome = co_await http::await_callback<RegistryOutcome>(std::move(ask));
  if (!outcome) {
    co_return refusal_of(outcome.error());
  }
  co_return judge_registered(**outcome, std::move(order));
}

Response EstService::refuse(const Refusal& refusal, const char* action, const std::string& address,
                            const std::string& object) {
  // What is not the asker's fault costs it nothing.
  if (refusal.status == 202 || refusal.status == 409 || refusal.status == 429 ||
      refusal.status >= 500) {
    limiter_.succeeded(address);
  }
  plugin::AuditEvent event;
  event.actor = "unknown";
  event.action = action;
  event.object = object;
  event.outcome = refusal.code;
  event.detail = refusal.what;
  event.address = address;
  options_.audit.note(std::move(event));
  options_.log(std::string{action} + " refused for " + address + ": " + refusal.code + ": " +
               refusal.what);
  return response_of(refusal);
}

awaitable<Response> EstService::issue(IssueOrder order, const char* action, std::string address) {
  const std::string object = "device:" + order.device;
  auto start = [issuer = options_.issuer, order = std::move(order)](auto done) {
    issuer->issue(order, done);
  };
  const auto outcome = co_await http::await_callback<IssueOutcome>(std::move(start));
  if (!outcome) {
    co_return refuse(outcome.error(), action, address, object);
  }
  limiter_.succeeded(address);
  const auto der = crypto::pkcs7_from({outcome->certificate});
  if (!der) {
    co_return http::problem(500, "signing_failed", der.error().what);
  }
  // RFC 7030 section 4.2.3: nothing but the certificate that was issued.
  co_return base64_response(*der, "application/pkcs7-mime; smime-type=certs-only");
}

awaitable<Response> EstService::enroll(const http::Request& request) {
  if (auto response = begin(request)) {
    co_return *std::move(response);
  }
  const std::string address = request.peer_address;
  Admission admission = co_await admit(request);
  if (!admission) {
    co_return refuse(admission.error(), "certificate.enrol", address, {});
  }
  co_return co_await issue(*std::move(admission), "certificate.enrol", address);
}

Admission EstService::judge_renewal(const http::Request& request) const {
  if (request.client_certificate.empty()) {
    return Refusal{403, "certificate_needed",
                   "a renewal needs the current certificate as TLS client certificate"};
  }
  const auto read = read_est_request(request);
  if (!read) {
    return read.error();
  }
  const auto current =
      read_current_certificate(request.client_certificate, options_.authority.device_ca());
  if (!current) {
    return current.error();
  }
  if (auto refusal =
          refuse_renewal(*current, options_.renewal, options_.registry, options_.clock().wall)) {
    return *std::move(refusal);
  }
  Admission order = judge_renewal_request(read->csr, *current, options_.registry);
  if (order) {
    order->actor.address = request.peer_address;
  }
  return order;
}

awaitable<Response> EstService::reenroll(const http::Request& request) {
  if (auto response = begin(request)) {
    co_return *std::move(response);
  }
  const std::string address = request.peer_address;
  Admission admission = judge_renewal(request);
  if (!admission) {
    co_return refuse(admission.error(), "certificate.renew", address, {});
  }
  co_return co_await issue(*std::move(admission), "certificate.renew", address);
}

http::Endpoint endpoint(const char* method, const char* route, std::size_t body_bytes_max,
                        http::Handler handler) {
  http::Endpoint made;
  made.method = method;
  made.route = std::string{"/.well-known/est/"} + route;
  made.guard = http::Guard::none;
  made.body_bytes_max = body_bytes_max;
  made.handler = std::move(handler);
  return made;
}

}  // namespace

http::EndpointTable est_endpoints(EstOptions options) {
  const auto service = std::make_shared<EstService>(std::move(options));
  const Response attributes = base64_response(crypto::csr_attributes_der(), "application/csrattrs");
  return {
      endpoint("GET", "cacerts", 0,
               [service](const http::Request&) -> awaitable<Response> {
                 co_return service->authorities();
               }),
      endpoint("POST", "simpleenroll", enrolment_bytes_max,
               [service](const http::Request& request) { return service->enroll(request); }),
      endpoint("POST", "simplereenroll", enrolment_bytes_max,
               [service](const http::Request& request) { return service->reenroll(request); }),
      endpoint("GET", "csrattrs", 0,
               [attributes](const http::Request&) -> awaitable<Response> { co_return attributes; }),
  };
}

}  // namespace skerry::auth
