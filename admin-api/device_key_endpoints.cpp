// Keys and certificates of a device, and the revocation of one certificate.
#include <boost/json/array.hpp>

#include "admin-api/device_body.hpp"
#include "admin-api/device_change.hpp"
#include "admin-api/handlers.hpp"
#include "admin-api/rest.hpp"
#include "http/json_body.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;

constexpr std::size_t body_bytes_max = 16 * 1024;
constexpr std::size_t serial_bytes_max = 40;  ///< 20 octets (RFC 5280 section 4.1.2.2)

/// These lists are short by the registry's caps: one page, always.
http::Response whole_list(boost::json::array items) {
  boost::json::object body;
  body["items"] = std::move(items);
  body["next"] = nullptr;
  return http::json_response(body);
}

std::string lower_hex(std::string text) {
  for (char& c : text) {
    c = c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
  }
  return text;
}

Result<auth::RevocationReason, http::Response> read_reason(std::string_view name,
                                                           const char* pointer, int status) {
  const auto reason = auth::revocation_reason_of(name);
  if (!reason) {
    return http::problem(status, status == 400 ? "invalid_parameter" : "field_invalid",
                         "a reason is unspecified, keyCompromise, affiliationChanged, superseded, "
                         "cessationOfOperation or privilegeWithdrawn",
                         pointer);
  }
  return *reason;
}

awaitable<http::Response> list_keys(Services services, const http::Request& request) {
  const std::string& id = request.parameters.at("id");
  const auth::DevicePointer device = services->registry.find(id);
  if (!device) {
    co_return device_not_found(id);
  }
  boost::json::array items;
  for (const auth::DeviceKey& key : device->keys) {
    items.push_back(json_of(key));
  }
  http::Response response = whole_list(std::move(items));
  response.headers.emplace_back("ETag", etag_of(*device));
  co_return response;
}

awaitable<http::Response> add_key(Services services, const http::Request& request) {
  const std::string id = request.parameters.at("id");
  auto body = http::parse_json_object(request);
  if (!body) {
    co_return std::move(body).error();
  }
  auto key = read_key_body(*body, DeviceBodyKind::create, "");
  if (!key) {
    co_return problem_of(key.error());
  }
  auth::ChangeRequest change = judging_change_of(request, services);
  if (auto refused = read_if_match(request, services->registry, id, change)) {
    co_return *std::move(refused);
  }
  const auth::DevicePointer before = services->registry.find(id);
  const bool is_known = before && before->key(key->fingerprint) != nullptr;
  std::function<void(auth::DeviceRegistry::Done)> apply = [&registry = services->registry, id,
                                                           key = *key, change](auto done) {
    registry.add_key(id, key, change, done);
  };
  const DeviceChange changed = co_await change_device(services, id, std::move(apply));
  if (!changed.outcome) {
    co_return registry_problem(changed.outcome.error());
  }
  const auth::Device& device = **changed.outcome;
  services->log("admin: " + request.principal + " added a key to device " + id);
  http::Response response =
      http::json_response(json_of(*device.key(key->fingerprint)), is_known ? 200 : 201);
  response.headers.emplace_back("ETag", etag_of(device));
  response.headers.emplace_back("Location", "/api/v1/devices/" + id + "/keys/" + key->fingerprint);
  co_return response;
}

awaitable<http::Response> remove_key(Services services, const http::Request& request) {
  const std::string id = request.parameters.at("id");
  const std::string fingerprint = lower_hex(request.parameters.at("fingerprint"));
  auth::RevocationReason reason = auth::RevocationReason::cessation_of_operation;
  for (const auto& [name, value] : request.query) {
    if (name != "reason") {
      co_return http::problem(400, "invalid_parameter", "only \"reason\" is known here");
    }
    const auto read = read_reason(value, "/query/reason", 400);
    if (!read) {
      co_return read.error();
    }
    reason = *read;
  }
  auth::ChangeRequest change = judging_change_of(request, services);
  if (auto refused = read_if_match(request, services->registry, id, change)) {
    co_return *std::move(refused);
  }
  std::function<void(auth::DeviceRegistry::Done)> apply = [&registry = services->registry, id,
                                                           fingerprint, reason, change](auto done) {
    registry.remove_key(id, fingerprint, reason, change, done);
  };
  const DeviceChange changed = co_await change_device(services, id, std::move(apply));
  if (changed.outcome) {
    services->log("admin: " + request.principal + " removed a key of device " + id);
  }
  co_return change_response(changed);
}

boost::json::object json_of(const auth::RevokedCertificate& certificate, WallTime now) {
  boost::json::object item;
  item["serial"] = certificate.serial;
  item["status"] = certificate.revocation.not_after <= now ? "expired" : "revoked";
  item["notAfter"] = format_time(certificate.revocation.not_after);
  item["revokedAt"] = format_time(certificate.revocation.revoked);
  item["reason"] = auth::name_of(certificate.revocation.reason);
  return item;
}

awaitable<http::Response> list_certificates(Services services, const http::Request& request) {
  const std::string& id = request.parameters.at("id");
  const auth::DevicePointer device = services->registry.find(id);
  if (!device) {
    co_return device_not_found(id);
  }
  const WallTime now = services->clock().wall;
  boost::json::array items;
  for (const auth::DeviceKey& key : device->keys) {
    for (const auth::DeviceCertificate& certificate : key.certificates) {
      boost::json::object item;
      item["serial"] = certificate.serial;
      item["status"] = certificate.not_after <= now ? "expired" : "good";
      item["fingerprint"] = key.fingerprint;
      if (certificate.issued != WallTime{}) {
        item["issuedAt"] = format_time(certificate.issued);
      }
      item["notAfter"] = format_time(certificate.not_after);
      items.push_back(std::move(item));
    }
  }
  for (const auth::RevokedCertificate& revoked : services->registry.revocations_of(id)) {
    items.push_back(json_of(revoked, now));
  }
  co_return whole_list(std::move(items));
}

awaitable<http::Response> revoke(Services services, const http::Request& request) {
  const std::string serial = lower_hex(request.parameters.at("serial"));
  auth::RevocationReason reason = auth::RevocationReason::unspecified;
  if (!request.body.empty()) {
    auto body = http::parse_json_object(request);
    if (!body) {
      co_return std::move(body).error();
    }
    if (auto refused = http::refuse_unknown_fields(*body, {"reason"})) {
      co_return *std::move(refused);
    }
    auto name = http::string_field(*body, "reason");
    if (!name) {
      co_return std::move(name).error();
    }
    const auto read = read_reason(*name, "/reason", 422);
    if (!read) {
      co_return read.error();
    }
    reason = *read;
  }
  const auth::DevicePointer device =
      serial.size() <= serial_bytes_max ? services->registry.find_by_serial(serial) : nullptr;
  if (!device && services->registry.is_revoked(serial)) {
    co_return http::problem(409, "already_revoked", "this certificate has been revoked before");
  }
  if (!device) {
    co_return http::problem(404, "certificate_not_found", "no certificate of this serial is good");
  }
  auth::ChangeRequest change = judging_change_of(request, services);
  std::function<void(auth::DeviceRegistry::Done)> apply = [&registry = services->registry, serial,
                                                           reason, change](auto done) {
    registry.revoke_certificate(serial, reason, change, done);
  };
  const DeviceChange changed = co_await change_device(services, device->id, std::move(apply));
  if (changed.outcome) {
    services->log("admin: " + request.principal + " revoked certificate " + serial + " of device " +
                  device->id);
  }
  co_return change_response(changed);
}

}  // namespace

http::EndpointTable device_key_endpoints(const Services& services) {
  using http::Guard;
  using http::Request;
  return {
      {"GET", "/api/v1/devices/{id}/keys", Guard::token, 0,
       [services](const Request& request) { return list_keys(services, request); }},
      {"POST", "/api/v1/devices/{id}/keys", Guard::token, body_bytes_max,
       [services](const Request& request) { return add_key(services, request); }},
      {"DELETE", "/api/v1/devices/{id}/keys/{fingerprint}", Guard::token, 0,
       [services](const Request& request) { return remove_key(services, request); }},
      {"GET", "/api/v1/devices/{id}/certificates", Guard::token, 0,
       [services](const Request& request) { return list_certificates(services, request); }},
      {"POST", "/api/v1/certificates/{serial}:revoke", Guard::token, body_bytes_max,
       [services](const Request& request) { return revoke(services, request); }},
  };
}

}  // namespace skerry::admin_api
