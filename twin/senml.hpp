// SenmlParser: SenML packs (RFC 8428) in JSON and CBOR to samples. What records mean is decided in
// senml_record.hpp; here is how they are written. A pack with any mistake is refused whole.
//
//   v   number                    vs  string      vb  boolean
//   vd  data: a string of base64url, in CBOR made from the byte string
//   s   integrated sum: a series of its own, "<key>.sum"
//   u   unit: given beside the samples, see units
//   ut  checked and not kept
//
// CBOR: definite and indefinite lengths, integers and texts as labels, floats of all sizes, decimal
// fractions (tag 4). Other tags, bignums among them, are refused in fields and skipped in others.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "base/bytes.hpp"
#include "base/now.hpp"
#include "base/result.hpp"
#include "twin/telemetry_error.hpp"

namespace skerry::twin {

struct SenmlPack {
  std::span<const Sample> samples;  ///< may be empty: base fields alone
  /// As many as samples, empty texts among them; none at all when no sample has a unit.
  std::span<const std::string_view> units;
};

/// Keeps its buffers from call to call. For one thread at a time.
class SenmlParser {
 public:
  SenmlParser();
  ~SenmlParser();
  SenmlParser(SenmlParser&&) noexcept;
  SenmlParser& operator=(SenmlParser&&) noexcept;

  /// The samples of a pack that `device`, a valid id, has sent. They live until the next call and
  /// not longer than `payload`. Caps: telemetry_*_max and senml_records_max in base/limits.hpp.
  /// Never block, O(bytes).
  Result<SenmlPack, TelemetryError> parse_json(std::string_view device, Bytes payload,
                                               WallTime arrival);
  Result<SenmlPack, TelemetryError> parse_cbor(std::string_view device, Bytes payload,
                                               WallTime arrival);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skerry::twin
