// /api/v1/services: back-end services that connect by certificate. A certificate is made of a
// request (PKCS#10), as for devices: the private key stays where it is.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "admin-api/handlers.hpp"
#include "admin-api/rest.hpp"
#include "auth/renewal.hpp"
#include "base/limits.hpp"
#include "http/await.hpp"
#include "http/json_body.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;

constexpr std::size_t body_bytes_max = 64 * 1024;
constexpr std::chrono::seconds life_default = std::chrono::days{90};
constexpr std::chrono::seconds life_min = std::chrono::minutes{1};
constexpr std::chrono::seconds life_max = std::chrono::days{397};
constexpr std::string_view cursor_kind = "services";

boost::json::object json_of(const auth::ServiceCertificate& certificate) {
  boost::json::object object;
  object["serial"] = certificate.serial;
  object["keyFingerprint"] = certificate.fingerprint;
  object["issuedAt"] = format_time(certificate.issued);
  object["notAfter"] = format_time(certificate.not_after);
  return object;
}

boost::json::object json_of(const auth::Service& service) {
  boost::json::array certificates;
  for (const auth::ServiceCertificate& certificate : service.certificates) {
    certificates.push_back(json_of(certificate));
  }
  boost::json::object object;
  object["name"] = service.name;
  object["policy"] = service.policy;
  object["createdAt"] = format_time(service.created);
  object["changedAt"] = format_time(service.changed);
  object["revision"] = service.revision;
  object["certificates"] = std::move(certificates);
  return object;
}

http::Response service_response(const auth::Service& service, int status) {
  http::Response response = http::json_response(json_of(service), status);
  response.headers.emplace_back("ETag", "\"" + std::to_string(epoch_milliseconds(service.created)) +
                                            "-" + std::to_string(service.revision) + "\"");
  return response;
}

http::Response service_problem(const auth::ServiceFailure& failure) {
  using auth::ServiceError;
  switch (failure.code) {
    case ServiceError::invalid_name:
      return http::problem(422, "invalid_service_name", failure.what, "/name");
    case ServiceError::exists:
      return http::problem(409, "service_exists", failure.what, "/name");
    case ServiceError::not_found:
      return http::problem(404, "service_not_found", failure.what);
    case ServiceError::certificate_not_found:
      return http::problem(404, "certificate_not_found", failure.what);
    case ServiceError::limit:
      return http::problem(409, "limit", failure.what);
    case ServiceError::storage:
      return storage_problem({storage::StatusCode::closed, failure.what});
  }
  return http::problem(500, "internal_error", failure.what);
}

http::Response refusal_response(const auth::Refusal& refusal, const char* pointer = "") {
  http::Response response = http::problem(refusal.status, refusal.code, refusal.what, pointer);
  if (refusal.retry_after) {
    response.headers.emplace_back("Retry-After", std::to_string(refusal.retry_after->count()));
  }
  return response;
}

struct CertificateWish {
  std::string spki_der;
  std::string fingerprint;
  std::chrono::seconds life = life_default;
};

/// `{"csr": "PEM", "expiresIn": seconds}`, or the request alone as application/pkcs10.
Result<CertificateWish, http::Response> read_wish(const http::Request& request) {
  CertificateWish wish;
  std::string text = request.body;
  if (!request.header("content-type").starts_with("application/pkcs10")) {
    auto body = http::parse_json_object(request);
    if (!body) {
      return std::move(body).error();
    }
    if (auto refused = http::refuse_unknown_fields(*body, {"csr", "expiresIn"})) {
      return *std::move(refused);
    }
    auto csr = http::string_field(*body, "csr");
    if (!csr) {
      return std::move(csr).error();
    }
    text = *std::move(csr);
    if (const boost::json::value* life = body->if_contains("expiresIn")) {
      if (!life->is_int64() || life->get_int64() < life_min.count() ||
          life->get_int64() > life_max.count()) {
        return http::problem(422, "field_invalid",
                             "\"expiresIn\" must be a whole number of seconds from 60 to 34300800",
                             "/expiresIn");
      }
      wish.life = std::chrono::seconds{life->get_int64()};
    }
  }
  const auto csr = auth::read_request(text);
  if (!csr) {
    return refusal_response(csr.error(), "/csr");
  }
  if (!csr->is_signed_by_own_key()) {
    return refusal_response(auth::bad_signature(), "/csr");
  }
  wish.spki_der = csr->spki_der();
  wish.fingerprint = csr->fingerprint();
  return wish;
}

class ServiceHandlers {
 public:
  explicit ServiceHandlers(Services services) : services_(std::move(services)) {}

  awaitable<http::Response> list(const http::Request& request);
  awaitable<http::Response> create(const http::Request& request);
  awaitable<http::Response> show(const http::Request& request);
  awaitable<http::Response> erase(const http::Request& request);
  awaitable<http::Response> issue(const http::Request& request);
  awaitable<http::Response> revoke(const http::Request& request);

 private:
  auth::ServiceRegistry& registry() { return services_->certificates->services; }
  auth::ServiceRegistry::Change change(const http::Request& request) const {
    return {services_->clock().wall, {request.principal, request.peer_address}};
  }

  Services services_;
};

awaitable<http::Response> ServiceHandlers::list(const http::Request& request) {
  const auto page = read_page(request, cursor_kind);
  if (!page) {
    co_return page.error();
  }
  std::vector<auth::ServicePointer> found = registry().list(page->after, page->limit + 1);
  const auto next =
      cut_page(found, *page, cursor_kind, [](const auto& each) { return each->name; });
  boost::json::array items;
  for (const auth::ServicePointer& service : found) {
    items.push_back(json_of(*service));
  }
  co_return page_response(request, std::move(items), next);
}

awaitable<http::Response> ServiceHandlers::create(const http::Request& request) {
  auto body = http::parse_json_object(request);
  if (!body) {
    co_return std::move(body).error();
  }
  if (auto refused = http::refuse_unknown_fields(*body, {"name", "policy"})) {
    co_return *std::move(refused);
  }
  auto name = http::string_field(*body, "name");
  if (!name) {
    co_return std::move(name).error();
  }
  auto policy = http::string_field(*body, "policy");
  if (!policy) {
    co_return std::move(policy).error();
  }
  if (!services_->certificates->is_service_policy(*policy)) {
    co_return http::problem(422, "unknown_policy",
                            "\"policy\" must be service-read, service-write or the name of a "
                            "policy that there is",
                            "/policy");
  }
  const auto outcome =
      co_await registry().create(*std::move(name), *std::move(policy), change(request));
  if (!outcome) {
    co_return service_problem(outcome.error());
  }
  const auth::Service& created = **outcome;
  services_->log("admin: " + request.principal + " created service " + created.name);
  http::Response response = service_response(created, 201);
  response.headers.emplace_back("Location", "/api/v1/services/" + created.name);
  co_return response;
}

http::Response service_not_found() {
  return http::problem(404, "service_not_found", "there is no service of this name");
}

awaitable<http::Response> ServiceHandlers::show(const http::Request& request) {
  const auth::ServicePointer service = registry().find(request.parameters.at("name"));
  co_return service ? service_response(*service, 200) : service_not_found();
}

awaitable<http::Response> ServiceHandlers::erase(const http::Request& request) {
  const std::string name = request.parameters.at("name");
  const auto outcome = co_await registry().erase(name, change(request));
  if (!outcome) {
    co_return service_problem(outcome.error());
  }
  services_->log("admin: " + request.principal + " deleted service " + name);
  co_return http::no_content();
}

awaitable<http::Response> ServiceHandlers::issue(const http::Request& request) {
  const std::string name = request.parameters.at("name");
  const auth::ServicePointer service = registry().find(name);
  if (!service) {
    co_return service_not_found();
  }
  auto wish = read_wish(request);
  if (!wish) {
    co_return std::move(wish).error();
  }
  using Issued = Result<crypto::Certificate, auth::AuthorityFailure>;
  const WallTime now = services_->clock().wall;
  // The handler may have gone when the job runs: it owns what it needs.
  const auto sign = [services = services_, name, made = *wish, now]() -> Issued {
    return services->certificates->authority.issue_service_certificate(name, made.spki_der,
                                                                       made.life, now);
  };
  const auto busy = []() -> Issued {
    return auth::AuthorityFailure{true, "the signer has too much to do; try again"};
  };
  const Issued issued =
      co_await http::run_blocking<Issued>(services_->certificates->signer, sign, busy);
  if (!issued) {
    const bool away = issued.error().unavailable;
    http::Response response = http::problem(
        away ? 503 : 500, away ? "authority_unavailable" : "signing_failed", issued.error().what);
    if (away) {
      response.headers.emplace_back("Retry-After", "60");
    }
    co_return response;
  }
  const auto fields = issued->fields();
  if (!fields) {
    co_return http::problem(500, "signing_failed", fields.error().what);
  }
  const auth::ServiceCertificate certificate{fields->serial, fields->fingerprint, now,
                                             fields->not_after};
  const auto outcome = co_await registry().record_certificate(name, certificate, change(request));
  if (!outcome) {
    co_return service_problem(outcome.error());
  }
  services_->log("admin: " + request.principal + " issued certificate " + fields->serial +
                 " to service " + name);
  boost::json::object body = json_of(certificate);
  body["certificate"] = issued->pem();
  body["chain"] = services_->certificates->authority.device_ca().pem();
  http::Response response = http::json_response(body, 201);
  response.headers.emplace_back("Location",
                                "/api/v1/services/" + name + "/certificates/" + fields->serial);
  co_return response;
}

awaitable<http::Response> ServiceHandlers::revoke(const http::Request& request) {
  const std::string name = request.parameters.at("name");
  const std::string serial = request.parameters.at("serial");
  auto reason = auth::RevocationReason::unspecified;
  for (const auto& [parameter, value] : request.query) {
    const auto named = auth::revocation_reason_of(value);
    if (parameter != "reason" || !named) {
      co_return http::problem(400, "invalid_parameter",
                              "the only query parameter here is reason, one of RFC 5280's "
                              "(\"keyCompromise\", \"superseded\", …)",
                              "/query/reason");
    }
    reason = *named;
  }
  const auto outcome =
      co_await registry().revoke_certificate(name, serial, reason, change(request));
  if (!outcome) {
    co_return service_problem(outcome.error());
  }
  services_->log("admin: " + request.principal + " revoked certificate " + serial + " of service " +
                 name);
  co_return http::no_content();
}

}  // namespace

http::EndpointTable service_endpoints(const Services& services) {
  const auto handlers = std::make_shared<ServiceHandlers>(services);
  return {
      {"GET", "/api/v1/services", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->list(request); }},
      {"POST", "/api/v1/services", http::Guard::token, body_bytes_max,
       [handlers](const http::Request& request) { return handlers->create(request); }},
      {"GET", "/api/v1/services/{name}", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->show(request); }},
      {"DELETE", "/api/v1/services/{name}", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->erase(request); }},
      {"POST", "/api/v1/services/{name}/certificates", http::Guard::token, body_bytes_max,
       [handlers](const http::Request& request) { return handlers->issue(request); }},
      {"DELETE", "/api/v1/services/{name}/certificates/{serial}", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->revoke(request); }},
  };
}

}  // namespace skerry::admin_api
