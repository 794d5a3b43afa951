#include "admin-api/device_body.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>

#include "base/assert.hpp"
#include "base/limits.hpp"
#include "crypto/encoding.hpp"
#include "crypto/hash.hpp"
#include "crypto/key.hpp"
#include "twin/time_text.hpp"

namespace skerry::admin_api {

namespace {

using Kind = DeviceBodyKind;
using Fault = std::optional<BodyFault>;
namespace json = boost::json;

constexpr std::size_t public_key_bytes_max = 4096;
constexpr std::size_t list_items_max = 1024;  ///< the registry's own caps are lower, judged there

constexpr std::array<std::string_view, 8> writable_names = {
    "id", "keys", "name", "model", "serialNumber", "tags", "attributes", "notAfter"};
/// What only we say of a device: ignored where somebody sends back what he was shown.
constexpr std::array<std::string_view, 5> our_names = {"state", "createdAt", "changedAt",
                                                       "revision", "request"};

template <typename Names>
bool holds(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string_view view_of(const json::string& text) {
  return {text.data(), text.size()};
}

BodyFault invalid(std::string detail, std::string pointer) {
  return {"field_invalid", std::move(detail), std::move(pointer)};
}

Fault check_names(const json::object& body, Kind kind) {
  for (const auto& member : body) {
    const std::string_view name{member.key().data(), member.key().size()};
    const bool is_ours = holds(our_names, name);
    if (holds(writable_names, name) ||
        (is_ours && (kind == Kind::replace || kind == Kind::import))) {
      continue;
    }
    const std::string shown{name.substr(0, 64)};
    if (is_ours && kind == Kind::merge) {
      return BodyFault{"field_read_only", "\"" + shown + "\" cannot be written", "/" + shown};
    }
    return BodyFault{"unknown_field", "\"" + shown + "\" is not known here", "/" + shown};
  }
  return std::nullopt;
}

/// A text that may be missing; null clears it where that means something.
Fault read_text(const json::object& body, const char* name, Kind kind,
                std::optional<std::string>& text) {
  const json::value* value = body.if_contains(name);
  if (value == nullptr) {
    text = kind == Kind::replace ? std::optional<std::string>{""} : std::nullopt;
    return std::nullopt;
  }
  if (value->is_null() && kind != Kind::create) {
    text = "";
    return std::nullopt;
  }
  if (!value->is_string()) {
    return invalid("this must be a string", std::string{"/"} + name);
  }
  text = view_of(value->get_string());
  return std::nullopt;
}

Fault read_end(const json::object& body, Kind kind, const std::string& pointer,
               std::optional<std::optional<WallTime>>& end) {
  const json::value* value = body.if_contains("notAfter");
  if (value == nullptr || value->is_null()) {
    if (value != nullptr || kind == Kind::replace) {
      end.emplace(std::nullopt);
    }
    return std::nullopt;
  }
  const auto time = value->is_string() ? read_time(view_of(value->get_string())) : std::nullopt;
  if (!time) {
    return invalid("this must be an RFC 3339 time like \"2027-01-31T12:00:00Z\"", pointer);
  }
  end.emplace(time);
  return std::nullopt;
}

Fault read_tags(const json::object& body, Kind kind,
                std::optional<std::vector<std::string>>& tags) {
  const json::value* value = body.if_contains("tags");
  if (value == nullptr || value->is_null()) {
    if (value != nullptr || kind == Kind::replace) {
      tags.emplace();
    }
    return std::nullopt;
  }
  if (!value->is_array() || value->get_array().size() > list_items_max) {
    return invalid("\"tags\" must be a list of strings", "/tags");
  }
  tags.emplace();
  for (const json::value& tag : value->get_array()) {
    if (!tag.is_string()) {
      return invalid("a tag must be a string", "/tags/" + std::to_string(tags->size()));
    }
    tags->emplace_back(view_of(tag.get_string()));
  }
  return std::nullopt;
}

Fault read_attributes(const json::object& body, Kind kind, auth::DevicePatch& patch) {
  const json::value* value = body.if_contains("attributes");
  patch.attributes_replaced = kind == Kind::replace || (value != nullptr && value->is_null());
  if (value == nullptr || value->is_null()) {
    return std::nullopt;
  }
  if (!value->is_object() || value->get_object().size() > list_items_max) {
    return invalid("\"attributes\" must be an object of strings", "/attributes");
  }
  for (const auto& attribute : value->get_object()) {
    const std::string name{attribute.key().data(),
                           std::min<std::size_t>(attribute.key().size(), 1024)};
    const bool removes = attribute.value().is_null() && kind != Kind::create;
    if (!removes && !attribute.value().is_string()) {
      return invalid("an attribute must be a string", "/attributes");
    }
    patch.attributes[name] =
        removes ? std::nullopt
                : std::optional<std::string>{view_of(attribute.value().get_string())};
  }
  return std::nullopt;
}

Fault read_keys(const json::object& body, Kind kind,
                std::optional<std::vector<auth::KeyWish>>& keys) {
  const json::value* value = body.if_contains("keys");
  if (value == nullptr) {
    if (kind == Kind::replace) {
      keys.emplace();
    }
    return std::nullopt;
  }
  if (value->is_null() && kind != Kind::create) {
    keys.emplace();
    return std::nullopt;
  }
  if (!value->is_array() || value->get_array().size() > list_items_max) {
    return invalid("\"keys\" must be a list of keys", "/keys");
  }
  keys.emplace();
  for (const json::value& entry : value->get_array()) {
    auto key = read_key_body(entry, kind, "/keys/" + std::to_string(keys->size()));
    if (!key) {
      return key.error();
    }
    keys->push_back(*std::move(key));
  }
  return std::nullopt;
}

Fault read_id(const json::object& body, Kind kind, std::string& id) {
  const json::value* value = body.if_contains("id");
  if (value != nullptr && value->is_string()) {
    id = view_of(value->get_string());
    return std::nullopt;
  }
  if (value != nullptr) {
    return invalid("\"id\" must be a string", "/id");
  }
  if (kind == Kind::create || kind == Kind::import) {
    return BodyFault{"field_missing", "\"id\" is needed", "/id"};
  }
  return std::nullopt;
}

Fault read_state(const json::object& body, Kind kind, auth::DeviceState& state) {
  const json::value* value = kind == Kind::import ? body.if_contains("state") : nullptr;
  if (value == nullptr) {
    return std::nullopt;
  }
  const auto read = value->is_string() ? auth::state_of(view_of(value->get_string()))
                                       : std::optional<auth::DeviceState>{};
  if (!read) {
    return invalid("this is no state of a device", "/state");
  }
  state = *read;
  return std::nullopt;
}

std::string lower_hex(std::string_view text) {
  std::string lower{text};
  for (char& c : lower) {
    c = c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
  }
  return lower;
}

Result<auth::KeyWish, BodyFault> read_fingerprint(std::string_view text,
                                                  const std::string& pointer) {
  std::string fingerprint = lower_hex(text.substr(0, 65));
  if (!auth::is_valid_fingerprint(fingerprint)) {
    return BodyFault{
        "invalid_fingerprint",
        "a fingerprint is the SHA-256 of the public key (SubjectPublicKeyInfo in DER) as 64 "
        "hexadecimal digits",
        pointer};
  }
  return auth::KeyWish{std::move(fingerprint), {}};
}

Result<auth::KeyWish, BodyFault> read_public_key(std::string_view pem, const std::string& pointer) {
  const auto der = crypto::pem_decode("PUBLIC KEY", pem, public_key_bytes_max);
  if (!der) {
    return BodyFault{"invalid_public_key", "this is no public key in PEM form", pointer};
  }
  if (const std::string_view why = crypto::check_public_key(*der); !why.empty()) {
    return BodyFault{"invalid_public_key", std::string{why}, pointer};
  }
  return auth::KeyWish{crypto::sha256_hex(*der), {}};
}

}  // namespace

void throw_exception_from_error(const BodyFault&, const boost::source_location& where) {
  assertion_failed("value of a body that is at fault", where.file_name(),
                   static_cast<int>(where.line()));
}

std::optional<WallTime> read_time(std::string_view text) {
  // Relative times and numbers, which queries understand, would be an accident here.
  if (text.size() < 20 || text.size() > 64 || text[4] != '-' || text[0] < '0' || text[0] > '9') {
    return std::nullopt;
  }
  // What a zone moves out of the years 1 … 9999 could not be written again.
  constexpr std::int64_t earliest = -62'135'596'800'000;
  constexpr std::int64_t latest = 253'402'300'799'999;
  const auto time = twin::parse_instant(text, WallTime{});
  return time && *time >= earliest && *time <= latest ? std::optional{wall_from_epoch(*time)}
                                                      : std::nullopt;
}

Result<auth::KeyWish, BodyFault> read_key_body(const json::value& value, Kind kind,
                                               const std::string& pointer) {
  if (kind == Kind::import && value.is_string()) {
    return read_fingerprint(view_of(value.get_string()), pointer);
  }
  const BodyFault what =
      invalid("a key is {\"fingerprint\": \"64 hex digits\"} or {\"publicKey\": \"PEM\"}", pointer);
  if (!value.is_object()) {
    return what;
  }
  const json::object& object = value.get_object();
  for (const auto& member : object) {
    const std::string_view name{member.key().data(), member.key().size()};
    const bool is_ours = name == "addedAt" || name == "certificates";
    const bool is_known = name == "fingerprint" || name == "publicKey" || name == "notAfter";
    if (!is_known && !(is_ours && (kind == Kind::replace || kind == Kind::import))) {
      return BodyFault{"unknown_field", "a key has a fingerprint or a publicKey, and notAfter",
                       pointer};
    }
  }
  const json::value* fingerprint = object.if_contains("fingerprint");
  const json::value* public_key = object.if_contains("publicKey");
  if ((fingerprint == nullptr) == (public_key == nullptr)) {
    return what;
  }
  const json::value& named = fingerprint == nullptr ? *public_key : *fingerprint;
  const std::string place = pointer + (fingerprint == nullptr ? "/publicKey" : "/fingerprint");
  if (!named.is_string()) {
    return invalid("this must be a string", place);
  }
  auto read = fingerprint == nullptr ? read_public_key(view_of(named.get_string()), place)
                                     : read_fingerprint(view_of(named.get_string()), place);
  if (!read) {
    return std::move(read).error();
  }
  std::optional<std::optional<WallTime>> end;
  if (Fault fault = read_end(object, Kind::create, pointer + "/notAfter", end)) {
    return *std::move(fault);
  }
  read->not_after = end.value_or(std::nullopt);
  return *std::move(read);
}

Result<DeviceBody, BodyFault> read_device_body(const json::object& body, Kind kind) {
  DeviceBody read;
  auth::DevicePatch& patch = read.patch;
  Fault fault = check_names(body, kind);
  const auto next = [&fault](auto&& step) {
    if (!fault) {
      fault = step();
    }
  };
  next([&] { return read_id(body, kind, read.id); });
  next([&] { return read_state(body, kind, read.state); });
  next([&] { return read_keys(body, kind, patch.keys); });
  next([&] { return read_text(body, "name", kind, patch.name); });
  next([&] { return read_text(body, "model", kind, patch.model); });
  next([&] { return read_text(body, "serialNumber", kind, patch.serial_number); });
  next([&] { return read_tags(body, kind, patch.tags); });
  next([&] { return read_attributes(body, kind, patch); });
  next([&] { return read_end(body, kind, "/notAfter", patch.not_after); });
  if (fault) {
    return *std::move(fault);
  }
  return read;
}

http::Response problem_of(const BodyFault& fault) {
  return http::problem(422, fault.code, fault.detail, fault.pointer);
}

}  // namespace skerry::admin_api
