// /api/v1/ca: the gateway's own authorities and the revocation list, for whoever has to trust them.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "admin-api/handlers.hpp"
#include "admin-api/rest.hpp"
#include "crypto/hash.hpp"
#include "http/await.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;

boost::json::object json_of(const char* role, const crypto::Certificate& certificate) {
  boost::json::object object;
  object["role"] = role;
  const auto fields = certificate.fields();
  if (fields) {
    object["commonName"] = fields->common_name;
    object["organization"] = fields->organization;
    object["serial"] = fields->serial;
    object["notBefore"] = format_time(fields->not_before);
    object["notAfter"] = format_time(fields->not_after);
    object["keyFingerprint"] = fields->fingerprint;
  }
  object["fingerprint"] = crypto::sha256_hex(certificate.der());
  object["pem"] = certificate.pem();
  return object;
}

boost::json::value json_of(const auth::CrlPointer& list) {
  if (!list) {
    return nullptr;
  }
  boost::json::object object;
  object["number"] = list->number;
  object["thisUpdate"] = format_time(list->this_update);
  object["nextUpdate"] = format_time(list->next_update);
  object["entries"] = list->entries;
  return object;
}

awaitable<http::Response> show(Services services) {
  const auth::CertificateAuthority& authority = services->certificates->authority;
  // May look for the key's file.
  const auto look = [&authority] { return authority.can_sign() ? 1 : 0; };
  const auto busy = [] { return -1; };
  const int can_sign = co_await http::run_blocking<int>(services->certificates->signer, look, busy);
  boost::json::object body;
  body["chain"] = {json_of("root", authority.root()), json_of("device", authority.device_ca()),
                   json_of("server", authority.server_ca())};
  body["canSign"] = can_sign < 0 ? boost::json::value(nullptr) : boost::json::value(can_sign > 0);
  body["crl"] = json_of(services->certificates->crl.current());
  co_return http::json_response(body);
}

}  // namespace

http::EndpointTable ca_endpoints(const Services& services) {
  return {
      {"GET", "/api/v1/ca", http::Guard::token, 0,
       [services](const http::Request&) { return show(services); }},
      {"GET", "/api/v1/ca/crl", http::Guard::token, 0,
       [services](const http::Request& request) -> awaitable<http::Response> {
         co_return auth::crl_response(request, services->certificates->crl.current());
       }},
  };
}

}  // namespace skerry::admin_api
