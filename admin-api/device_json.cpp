#include "admin-api/device_json.hpp"

#include <boost/json/array.hpp>

#include "admin-api/rest.hpp"

namespace skerry::admin_api {

namespace {

int status_of(auth::RegistryError error) noexcept {
  using auth::RegistryError;
  switch (error) {
    case RegistryError::invalid_id:
    case RegistryError::invalid_fingerprint:
    case RegistryError::invalid_field:
      return 422;
    case RegistryError::exists:
    case RegistryError::key_taken:
    case RegistryError::invalid_state:
    case RegistryError::fingerprint_mismatch:
      return 409;
    case RegistryError::not_found:
    case RegistryError::key_not_found:
    case RegistryError::certificate_not_found:
      return 404;
    case RegistryError::revision_mismatch:
      return 412;
    case RegistryError::rejected:
      return 403;
    case RegistryError::limit:
      return 507;
    case RegistryError::storage:
      return 503;
  }
  return 500;
}

boost::json::array json_of(const std::vector<std::string>& texts) {
  boost::json::array array;
  for (const std::string& text : texts) {
    array.emplace_back(text);
  }
  return array;
}

}  // namespace

std::string etag_of(const auth::Device& device) {
  return "\"" + std::to_string(epoch_milliseconds(device.created)) + "-" +
         std::to_string(device.revision) + "\"";
}

boost::json::object json_of(const auth::DeviceKey& key) {
  boost::json::array certificates;
  for (const auth::DeviceCertificate& certificate : key.certificates) {
    boost::json::object item;
    item["serial"] = certificate.serial;
    if (certificate.issued != WallTime{}) {
      item["issuedAt"] = format_time(certificate.issued);
    }
    item["notAfter"] = format_time(certificate.not_after);
    certificates.push_back(std::move(item));
  }
  boost::json::object item;
  item["fingerprint"] = key.fingerprint;
  item["addedAt"] = format_time(key.added);
  if (key.not_after) {
    item["notAfter"] = format_time(*key.not_after);
  }
  item["certificates"] = std::move(certificates);
  return item;
}

boost::json::object json_of(const auth::Device& device) {
  boost::json::object object;
  object["id"] = device.id;
  object["state"] = auth::name_of(device.state);
  object["createdAt"] = format_time(device.created);
  object["changedAt"] = format_time(device.changed);
  object["revision"] = device.revision;
  object["name"] = device.name;
  object["model"] = device.model;
  object["serialNumber"] = device.serial_number;
  object["tags"] = json_of(device.tags);
  boost::json::object attributes;
  for (const auto& [name, value] : device.attributes) {
    attributes[name] = value;
  }
  object["attributes"] = std::move(attributes);
  if (device.not_after) {
    object["notAfter"] = format_time(*device.not_after);
  }
  boost::json::array keys;
  for (const auth::DeviceKey& key : device.keys) {
    keys.push_back(json_of(key));
  }
  object["keys"] = std::move(keys);
  if (device.request) {
    boost::json::object request;
    request["subject"] = device.request->subject;
    request["keyType"] = device.request->key_type;
    request["address"] = device.request->address;
    request["requestedAt"] = format_time(device.request->time);
    object["request"] = std::move(request);
  }
  return object;
}

http::Response device_response(const auth::Device& device, int status) {
  http::Response response = http::json_response(json_of(device), status);
  response.headers.emplace_back("ETag", etag_of(device));
  return response;
}

http::Response device_not_found(const std::string& id) {
  return http::problem(404, "device_not_found",
                       auth::is_valid_device_id(id) ? "there is no device \"" + id + "\""
                                                    : "there is no device of this id");
}

std::string_view code_of(auth::RegistryError error) noexcept {
  using auth::RegistryError;
  switch (error) {
    case RegistryError::invalid_id:
      return "invalid_device_id";
    case RegistryError::invalid_fingerprint:
      return "invalid_fingerprint";
    case RegistryError::invalid_field:
      return "field_invalid";
    case RegistryError::exists:
      return "device_exists";
    case RegistryError::key_taken:
      return "key_in_use";
    case RegistryError::invalid_state:
      return "invalid_state";
    case RegistryError::fingerprint_mismatch:
      return "fingerprint_mismatch";
    case RegistryError::not_found:
      return "device_not_found";
    case RegistryError::key_not_found:
      return "key_not_found";
    case RegistryError::certificate_not_found:
      return "certificate_not_found";
    case RegistryError::revision_mismatch:
      return "revision_mismatch";
    case RegistryError::rejected:
      return "key_rejected";
    case RegistryError::limit:
      return "device_limit";
    case RegistryError::storage:
      return "storage_unavailable";
  }
  return "internal_error";
}

http::Response registry_problem(const auth::RegistryFailure& failure) {
  if (failure.code == auth::RegistryError::storage) {
    return storage_problem({storage::StatusCode::closed, failure.what});
  }
  return http::problem(status_of(failure.code), code_of(failure.code), failure.what, failure.field);
}

auth::ChangeRequest change_of(const http::Request& request, WallTime now) {
  auth::ChangeRequest change;
  change.now = now;
  change.actor = {request.principal, request.peer_address};
  return change;
}

}  // namespace skerry::admin_api
