// ImportParser: a file of devices, fed in pieces of any size, becomes rows; what is wrong with a
// line is told of that line and does not harm the next.
//
//   application/x-ndjson   one object a line, the members of a device
//   text/csv               RFC 4180 with a header: id, state, name, model, serialNumber, tags
//                          (a;b), notAfter, keys (fingerprint;fingerprint@end), attributes.<name>
//
// In either form a line ends with LF or CRLF, blank lines count and mean nothing, and a byte order
// mark at the start is skipped. A quoted CSV cell holds no line break: nothing that a device has
// may hold one, and an unbalanced quote must not swallow the lines behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin-api/device_body.hpp"
#include "auth/registry.hpp"

namespace skerry::admin_api {

enum class ImportFormat : std::uint8_t { ndjson, csv };

struct ImportLine {
  std::uint64_t number = 0;        ///< from 1
  std::optional<BodyFault> fault;  ///< why there is no row
  auth::ImportRow row;             ///< its id may be known although there is a fault
};

/// Remembers at most one line of import_line_bytes_max.
class ImportParser {
 public:
  using Visit = std::function<void(ImportLine line)>;

  explicit ImportParser(ImportFormat format) : format_(format) {}

  /// Calls visit for each line that has become whole, in order.
  void feed(std::string_view bytes, const Visit& visit);
  /// The end: the last line may lack its break.
  void finish(const Visit& visit);

  /// Lines seen so far, with header and blank ones.
  std::uint64_t lines() const noexcept { return lines_; }
  /// The header was unusable, so no line can be understood: visit has got that fault, and nothing
  /// will follow.
  bool is_hopeless() const noexcept { return hopeless_; }

 private:
  void take_line(std::string_view line, const Visit& visit);
  std::optional<BodyFault> read_header(std::string_view line);
  std::optional<BodyFault> read_csv(std::string_view line, auth::ImportRow& row) const;

  const ImportFormat format_;
  std::string partial_;
  std::vector<std::string> columns_;
  std::uint64_t lines_ = 0;
  bool skipping_ = false;  ///< inside a line that is too long, which has been told already
  bool hopeless_ = false;
};

/// The cells of one CSV line; the fault when its quotes are wrong.
Result<std::vector<std::string>, BodyFault> split_csv(std::string_view line);

}  // namespace skerry::admin_api
