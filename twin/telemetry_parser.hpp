// TelemetryParser: JSON telemetry in its flat shapes to samples. Accepted are
//   {"ts":1700000000000,"temperature":21.5,"gps":{"lat":52.1}}   nested objects: keys joined by '.'
//   {"ts":1700000000000,"values":{"temperature":21.5}}           beside `values` only `ts`
//   [ … ]                                                        an array of either
// `ts` is integer epoch milliseconds; without it the time of arrival counts. Values are numbers,
// booleans and strings. A null is "no sample": it is skipped, and a message of nulls alone is
// accepted and stores nothing. A message with any mistake is refused whole.
// It knows no topics, no storage and no SenML (senml.hpp).
#pragma once

#include <memory>
#include <span>

#include "base/bytes.hpp"
#include "base/now.hpp"
#include "base/result.hpp"
#include "twin/telemetry_error.hpp"

namespace skerry::twin {

/// Keeps its buffers from call to call (some 16 times the largest payload seen). For one thread
/// at a time.
class TelemetryParser {
 public:
  TelemetryParser();
  ~TelemetryParser();
  TelemetryParser(TelemetryParser&&) noexcept;
  TelemetryParser& operator=(TelemetryParser&&) noexcept;

  /// The samples of `payload` in their order; they and their texts live until the next call.
  /// Caps: telemetry_*_max in base/limits.hpp. Never blocks, O(bytes).
  Result<std::span<const Sample>, TelemetryError> parse(Bytes payload, WallTime arrival);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skerry::twin
