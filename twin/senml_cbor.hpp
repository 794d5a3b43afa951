// A SenML pack in CBOR, record by record. Private to senml.cpp.
#pragma once

#include <optional>
#include <string>

#include "twin/cbor_reader.hpp"
#include "twin/senml_record.hpp"

namespace skerry::twin {

/// Reads one payload; for one use.
class SenmlCbor {
 public:
  SenmlCbor(Bytes payload, SenmlResolver& resolver) : reader_(payload), resolver_(resolver) {}

  /// Hands every record to the resolver; the first mistake ends it.
  std::optional<TelemetryError> read();

 private:
  using Failure = std::optional<TelemetryError>;

  Failure next(CborItem& item);
  Failure read_record(const CborItem& map);
  Failure read_field(const CborItem& label, bool& known, SenmlField& field);
  Failure read_value(SenmlField field);
  Failure read_scalar(const CborItem& item, SenmlField field, SenmlScalar& scalar);
  Failure read_string(const CborItem& item, std::string_view& text);
  Failure read_decimal_fraction(SenmlScalar& scalar);
  Failure skip_value();

  CborReader reader_;
  SenmlResolver& resolver_;
  SenmlRecord record_;
  std::string scratch_;
};

}  // namespace skerry::twin
