// /api/v1/devices: the registry as a resource. Deleting a device ends its live sessions before it
// is answered.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "admin-api/handlers.hpp"
#include "admin-api/rest.hpp"
#include "crypto/encoding.hpp"
#include "crypto/hash.hpp"
#include "crypto/key.hpp"
#include "http/await.hpp"
#include "http/json_body.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;

constexpr std::size_t body_bytes_max = 64 * 1024;
constexpr std::size_t keys_in_body_max = 64;  ///< the registry's own cap is lower and judged there
constexpr std::size_t public_key_bytes_max = 4096;
constexpr std::string_view cursor_kind = "devices";

std::string etag_of(const auth::Device& device) {
  return "\"" + std::to_string(epoch_milliseconds(device.created)) + "-" +
         std::to_string(device.revision) + "\"";
}

boost::json::object json_of(const auth::Device& device) {
  boost::json::array keys;
  for (const auth::DeviceKey& key : device.keys) {
    boost::json::array certificates;
    for (const auth::DeviceCertificate& certificate : key.certificates) {
      boost::json::object item;
      item["serial"] = certificate.serial;
      item["notAfter"] = format_time(certificate.not_after);
      certificates.push_back(std::move(item));
    }
    boost::json::object item;
    item["fingerprint"] = key.fingerprint;
    item["addedAt"] = format_time(key.added);
    item["certificates"] = std::move(certificates);
    keys.push_back(std::move(item));
  }
  boost::json::object object;
  object["id"] = device.id;
  object["state"] = auth::name_of(device.state);
  object["createdAt"] = format_time(device.created);
  object["changedAt"] = format_time(device.changed);
  object["revision"] = device.revision;
  object["keys"] = std::move(keys);
  return object;
}

http::Response device_response(const auth::Device& device, int status) {
  http::Response response = http::json_response(json_of(device), status);
  response.headers.emplace_back("ETag", etag_of(device));
  return response;
}

http::Response not_found(const std::string& id) {
  // What cannot be an id is not repeated.
  return http::problem(404, "device_not_found",
                       auth::is_valid_device_id(id) ? "there is no device \"" + id + "\""
                                                    : "there is no device of this id");
}

http::Response registry_problem(const auth::RegistryFailure& failure) {
  using auth::RegistryError;
  switch (failure.code) {
    case RegistryError::invalid_id:
      return http::problem(422, "invalid_device_id", failure.what, "/id");
    case RegistryError::invalid_fingerprint:
      return http::problem(422, "invalid_fingerprint", failure.what, failure.field);
    case RegistryError::invalid_field:
      return http::problem(422, "field_invalid", failure.what, failure.field);
    case RegistryError::exists:
      return http::problem(409, "device_exists", failure.what, "/id");
    case RegistryError::key_taken:
      return http::problem(409, "key_in_use", failure.what, "/keys");
    case RegistryError::invalid_state:
      return http::problem(409, "invalid_state", failure.what);
    case RegistryError::fingerprint_mismatch:
      return http::problem(409, "fingerprint_mismatch", failure.what, failure.field);
    case RegistryError::rejected:
      return http::problem(403, "key_rejected", failure.what);
    case RegistryError::not_found:
      return http::problem(404, "device_not_found", failure.what);
    case RegistryError::key_not_found:
      return http::problem(404, "key_not_found", failure.what);
    case RegistryError::certificate_not_found:
      return http::problem(404, "certificate_not_found", failure.what);
    case RegistryError::revision_mismatch:
      return http::problem(412, "revision_mismatch", failure.what);
    case RegistryError::limit:
      return http::problem(507, "device_limit", failure.what);
    case RegistryError::storage:
      return storage_problem({storage::StatusCode::closed, failure.what});
  }
  return http::problem(500, "internal_error", failure.what);
}

auth::ChangeRequest change_of(const http::Request& request, WallTime now) {
  auth::ChangeRequest change;
  change.now = now;
  change.actor = {request.principal, request.peer_address};
  return change;
}

std::string lower_hex(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'F') {
      c = static_cast<char>(c + 32);
    }
  }
  return text;
}

/// The fingerprint of one entry of `keys`: given as such, or computed from a public key in PEM.
Result<std::string, http::Response> read_key(const boost::json::value& entry,
                                             const std::string& pointer) {
  const auto refuse = [&](std::string_view code, std::string_view detail, const char* member) {
    return http::problem(422, code, detail, pointer + member);
  };
  if (!entry.is_object() || entry.get_object().size() != 1) {
    return refuse("field_invalid",
                  "a key is {\"fingerprint\": \"64 hex digits\"} or {\"publicKey\": \"PEM\"}", "");
  }
  const auto& [name, value] = *entry.get_object().begin();
  if (!value.is_string()) {
    return refuse("field_invalid", "this must be a string", "");
  }
  const std::string text{value.get_string()};
  if (name == "fingerprint") {
    std::string fingerprint = lower_hex(text);
    if (!auth::is_valid_fingerprint(fingerprint)) {
      return refuse("invalid_fingerprint",
                    "a fingerprint is the SHA-256 of the public key (SubjectPublicKeyInfo in DER) "
                    "as 64 hexadecimal digits",
                    "/fingerprint");
    }
    return fingerprint;
  }
  if (name == "publicKey") {
    const auto der = crypto::pem_decode("PUBLIC KEY", text, public_key_bytes_max);
    if (!der) {
      return refuse("invalid_public_key", "this is no public key in PEM form", "/publicKey");
    }
    if (const std::string_view why = crypto::check_public_key(*der); !why.empty()) {
      return refuse("invalid_public_key", why, "/publicKey");
    }
    return crypto::sha256_hex(*der);
  }
  return refuse("unknown_field", "a key has a fingerprint or a publicKey", "");
}

struct NewDevice {
  std::string id;
  auth::DevicePatch details;
};

Result<NewDevice, http::Response> read_device(const http::Request& request) {
  auto body = http::parse_json_object(request);
  if (!body) {
    return std::move(body).error();
  }
  if (auto refused = http::refuse_unknown_fields(*body, {"id", "keys"})) {
    return *std::move(refused);
  }
  NewDevice device;
  device.details.keys.emplace();
  auto id = http::string_field(*body, "id");
  if (!id) {
    return std::move(id).error();
  }
  device.id = *std::move(id);
  const boost::json::value* keys = body->if_contains("keys");
  if (keys == nullptr) {
    return http::problem(422, "field_missing", "\"keys\" is needed", "/keys");
  }
  if (!keys->is_array() || keys->get_array().empty() ||
      keys->get_array().size() > keys_in_body_max) {
    return http::problem(422, "field_invalid", "\"keys\" must be a list of at least one key",
                         "/keys");
  }
  for (const boost::json::value& entry : keys->get_array()) {
    auto key = read_key(entry, "/keys/" + std::to_string(device.details.keys->size()));
    if (!key) {
      return std::move(key).error();
    }
    device.details.keys->push_back({*std::move(key)});
  }
  return device;
}

class DeviceHandlers {
 public:
  explicit DeviceHandlers(Services services) : services_(std::move(services)) {}

  awaitable<http::Response> list(const http::Request& request);
  awaitable<http::Response> create(const http::Request& request);
  awaitable<http::Response> show(const http::Request& request);
  awaitable<http::Response> erase(const http::Request& request);

 private:
  Services services_;
};

awaitable<http::Response> DeviceHandlers::list(const http::Request& request) {
  const auto page = read_page(request, cursor_kind);
  if (!page) {
    co_return page.error();
  }
  const auth::DevicePage found = services_->registry.list(page->after, page->limit);
  boost::json::array items;
  for (const auth::DevicePointer& device : found.devices) {
    items.push_back(json_of(*device));
  }
  std::optional<std::string> next;
  if (found.more) {
    next = encode_cursor(cursor_kind, found.devices.back()->id);
  }
  co_return page_response(request, std::move(items), next);
}

awaitable<http::Response> DeviceHandlers::create(const http::Request& request) {
  auto device = read_device(request);
  if (!device) {
    co_return std::move(device).error();
  }
  auto create = [&registry = services_->registry, wish = *std::move(device),
                 change = change_of(request, services_->clock().wall)](auto done) {
    registry.create(wish.id, wish.details, change, done);
  };
  const auto outcome = co_await http::await_callback<auth::RegistryOutcome>(std::move(create));
  if (!outcome) {
    co_return registry_problem(outcome.error());
  }
  const auth::Device& created = **outcome;
  services_->log("admin: " + request.principal + " registered device " + created.id);
  http::Response response = device_response(created, 201);
  response.headers.emplace_back("Location", "/api/v1/devices/" + created.id);
  co_return response;
}

awaitable<http::Response> DeviceHandlers::show(const http::Request& request) {
  const std::string& id = request.parameters.at("id");
  const auth::DevicePointer device = services_->registry.find(id);
  if (!device) {
    co_return not_found(id);
  }
  const std::string_view if_none_match = request.header("if-none-match");
  if (!if_none_match.empty() && if_match_holds(if_none_match, etag_of(*device))) {
    http::Response response;
    response.status = 304;
    response.headers.emplace_back("ETag", etag_of(*device));
    co_return response;
  }
  co_return device_response(*device, 200);
}

awaitable<http::Response> DeviceHandlers::erase(const http::Request& request) {
  const std::string id = request.parameters.at("id");
  auth::ChangeRequest change = change_of(request, services_->clock().wall);
  if (const std::string_view if_match = request.header("if-match"); !if_match.empty()) {
    const auth::DevicePointer device = services_->registry.find(id);
    if (!device) {
      co_return not_found(id);
    }
    if (!if_match_holds(if_match, etag_of(*device))) {
      co_return http::problem(412, "revision_mismatch",
                              "the device has changed; its ETag is now " + etag_of(*device));
    }
    change.expected = {device->created, device->revision};
  }
  auto erase = [&registry = services_->registry, id, change](auto done) {
    registry.erase(id, change, done);
  };
  const auto outcome = co_await http::await_callback<auth::RegistryOutcome>(std::move(erase));
  if (!outcome && outcome.error().code != auth::RegistryError::storage) {
    co_return registry_problem(outcome.error());
  }
  // Also when storing failed: the device is locked out, so its sessions must not live on.
  auto disconnect = [&view = services_->view, owner = "device:" + id](auto done) {
    view.disconnect_owner(owner, mqtt::Reason::administrative_action, done);
  };
  co_await http::await_callback<std::uint64_t>(std::move(disconnect));
  services_->log("admin: " + request.principal + " deleted device " + id);
  if (!outcome) {
    co_return registry_problem(outcome.error());
  }
  http::Response response;
  response.status = 204;
  co_return response;
}

}  // namespace

http::EndpointTable device_endpoints(const Services& services) {
  const auto handlers = std::make_shared<DeviceHandlers>(services);
  return {
      {"GET", "/api/v1/devices", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->list(request); }},
      {"POST", "/api/v1/devices", http::Guard::token, body_bytes_max,
       [handlers](const http::Request& request) { return handlers->create(request); }},
      {"GET", "/api/v1/devices/{id}", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->show(request); }},
      {"DELETE", "/api/v1/devices/{id}", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->erase(request); }},
  };
}

}  // namespace skerry::admin_api
