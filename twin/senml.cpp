#include "twin/senml.hpp"

#include <simdjson.h>

#include <algorithm>
#include <bit>

#include "base/limits.hpp"
#include "twin/json_parse.hpp"
#include "twin/senml_cbor.hpp"
#include "twin/senml_record.hpp"

namespace skerry::twin {
namespace {

namespace dom = simdjson::dom;
using Failure = std::optional<TelemetryError>;

constexpr TelemetryError empty_payload{"the payload is empty"};
constexpr TelemetryError too_large{"the payload is larger than a telemetry message may be"};
constexpr TelemetryError not_pack{"a SenML pack must be an array of objects"};
constexpr TelemetryError no_records{"a SenML pack has no records"};
constexpr TelemetryError must_understand_field{"a SenML field that must be understood is unknown"};
constexpr TelemetryError bad_value{"a SenML field holds a kind of value that it may not"};
constexpr TelemetryError number_too_large{"an integer does not fit into 64 bits with sign"};

/// Pack, record, and what an unknown field may hold.
constexpr std::size_t json_depth_max = telemetry_depth_max + 2;

Failure read_scalar(dom::element element, SenmlField field, SenmlScalar& scalar) {
  switch (element.type()) {
    case dom::element_type::INT64:
      scalar = element.get_int64().value_unsafe();
      return {};
    case dom::element_type::DOUBLE:
      scalar = element.get_double().value_unsafe();
      return {};
    case dom::element_type::UINT64:
      return number_too_large;
    case dom::element_type::BOOL:
      scalar = element.get_bool().value_unsafe();
      return {};
    case dom::element_type::STRING: {
      const std::string_view text = element.get_string().value_unsafe();
      scalar = field == SenmlField::data ? SenmlScalar{SenmlData{text}} : SenmlScalar{text};
      return {};
    }
    case dom::element_type::NULL_VALUE:
    case dom::element_type::ARRAY:
    case dom::element_type::OBJECT:
      break;
  }
  return bad_value;
}

}  // namespace

struct SenmlParser::Impl {
  Failure read_pack(dom::element root);
  Failure read_record(dom::object object);
  Result<SenmlPack, TelemetryError> finish(Failure failure) const;

  JsonParser json{json_depth_max};
  SenmlRecord record;
  SenmlResolver resolver;
};

Failure SenmlParser::Impl::read_pack(dom::element root) {
  if (!root.is_array()) {
    return not_pack;
  }
  const dom::array records = root.get_array().value_unsafe();
  if (records.begin() == records.end()) {
    return no_records;
  }
  for (const dom::element each : records) {
    if (!each.is_object()) {
      return not_pack;
    }
    if (const Failure failure = read_record(each.get_object().value_unsafe())) {
      return failure;
    }
  }
  return {};
}

Failure SenmlParser::Impl::read_record(dom::object object) {
  record.clear();
  for (const dom::key_value_pair member : object) {
    const auto field = senml_field(member.key);
    if (!field) {
      if (must_understand(member.key)) {
        return must_understand_field;
      }
      continue;
    }
    SenmlScalar scalar;
    Failure failure = read_scalar(member.value, *field, scalar);
    if (!failure) {
      failure = record.set(*field, scalar);
    }
    if (failure) {
      return failure;
    }
  }
  return resolver.add(record);
}

Result<SenmlPack, TelemetryError> SenmlParser::Impl::finish(Failure failure) const {
  if (failure) {
    return *failure;
  }
  return SenmlPack{resolver.samples(), resolver.units()};
}

SenmlParser::SenmlParser() : impl_(std::make_unique<Impl>()) {}
SenmlParser::~SenmlParser() = default;
SenmlParser::SenmlParser(SenmlParser&&) noexcept = default;
SenmlParser& SenmlParser::operator=(SenmlParser&&) noexcept = default;

Result<SenmlPack, TelemetryError> SenmlParser::parse_json(std::string_view device, Bytes payload,
                                                          WallTime arrival) {
  const auto root = impl_->json.parse(payload);
  if (root.has_error()) {
    return root.error();
  }
  impl_->resolver.start(device, epoch_milliseconds(arrival));
  return impl_->finish(impl_->read_pack(*root));
}

Result<SenmlPack, TelemetryError> SenmlParser::parse_cbor(std::string_view device, Bytes payload,
                                                          WallTime arrival) {
  if (payload.empty()) {
    return empty_payload;
  }
  if (payload.size() > telemetry_payload_bytes_max) {
    return too_large;
  }
  impl_->resolver.start(device, epoch_milliseconds(arrival));
  return impl_->finish(SenmlCbor(payload, impl_->resolver).read());
}

}  // namespace skerry::twin
