#include "admin-api/import_parser.hpp"

#include <algorithm>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>

#include "base/csv_cell.hpp"
#include "base/limits.hpp"
#include "http/json_body.hpp"
#include "http/json_members.hpp"
#include "mqtt/topic.hpp"

namespace skerry::admin_api {

namespace {

using Fault = std::optional<BodyFault>;

constexpr std::size_t columns_max = 512;
constexpr std::string_view attribute_prefix = "attributes.";
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

BodyFault fault_of(const char* code, std::string detail, std::string pointer = {}) {
  return {code, std::move(detail), std::move(pointer)};
}

Fault read_ndjson(std::string_view line, auth::ImportRow& row) {
  boost::json::monotonic_resource memory;
  boost::json::parse_options options;
  options.max_depth = http::json_depth_max;
  boost::json::error_code error;
  const boost::json::value value =
      boost::json::parse({line.data(), line.size()}, error, &memory, options);
  if (error) {
    return fault_of("malformed_json", "the line is not valid JSON: " + error.message());
  }
  if (!value.is_object()) {
    return fault_of("malformed_json", "the line must be a JSON object");
  }
  if (auto pointer = http::repeated_member(line)) {
    return fault_of("repeated_member", "the member is there twice", *std::move(pointer));
  }
  const boost::json::object& object = value.get_object();
  if (const auto* id = object.if_contains("id"); id != nullptr && id->is_string()) {
    row.id = std::string{id->get_string()};
  }
  auto body = read_device_body(object, DeviceBodyKind::import);
  if (!body) {
    return body.error();
  }
  row.patch = std::move(body->patch);
  row.state = body->state;
  return std::nullopt;
}

/// The parts of a cell between ';', without empty ones.
std::vector<std::string_view> split_list(std::string_view cell) {
  std::vector<std::string_view> parts;
  while (!cell.empty()) {
    const std::size_t end = std::min(cell.find(';'), cell.size());
    if (end > 0) {
      parts.push_back(cell.substr(0, end));
    }
    cell.remove_prefix(std::min(end + 1, cell.size()));
  }
  return parts;
}

Fault read_keys(std::string_view cell, auth::DevicePatch& patch) {
  patch.keys.emplace();
  for (const std::string_view part : split_list(cell)) {
    const std::size_t at = part.find('@');
    const std::string pointer = "/keys/" + std::to_string(patch.keys->size());
    // Not in braces: that would be a list.
    const boost::json::value text(boost::json::string_view{part.data(), std::min(at, part.size())});
    auto key = read_key_body(text, DeviceBodyKind::import, pointer);
    if (!key) {
      return key.error();
    }
    if (at != std::string_view::npos) {
      key->not_after = read_time(part.substr(at + 1));
      if (!key->not_after) {
        return fault_of("field_invalid", "behind '@' stands the end of the key (RFC 3339)",
                        pointer);
      }
    }
    patch.keys->push_back(*std::move(key));
  }
  return std::nullopt;
}

Fault read_cell(const std::string& column, std::string& cell, auth::ImportRow& row) {
  auth::DevicePatch& patch = row.patch;
  if (column == "id") {
    row.id = std::move(cell);
  } else if (column == "name") {
    patch.name = std::move(cell);
  } else if (column == "model") {
    patch.model = std::move(cell);
  } else if (column == "serialNumber") {
    patch.serial_number = std::move(cell);
  } else if (column == "keys") {
    return read_keys(cell, patch);
  } else if (column == "tags") {
    const auto tags = split_list(cell);
    patch.tags.emplace(tags.begin(), tags.end());
  } else if (column == "notAfter") {
    patch.not_after.emplace(cell.empty() ? std::nullopt : read_time(cell));
    if (!cell.empty() && !*patch.not_after) {
      return fault_of("field_invalid",
                      "this must be an RFC 3339 time like \"2027-01-31T12:00:00Z\"", "/notAfter");
    }
  } else if (column == "state") {
    const auto state =
        cell.empty() ? std::optional{auth::DeviceState::preauthorised} : auth::state_of(cell);
    if (!state) {
      return fault_of("field_invalid", "this is no state of a device", "/state");
    }
    row.state = *state;
  } else {
    std::string name = column.substr(attribute_prefix.size());
    patch.attributes[std::move(name)] =
        cell.empty() ? std::nullopt : std::optional{std::move(cell)};
  }
  return std::nullopt;
}

bool is_known_column(std::string_view column) noexcept {
  for (const std::string_view known :
       {"id", "state", "name", "model", "serialNumber", "tags", "notAfter", "keys"}) {
    if (column == known) {
      return true;
    }
  }
  return column.starts_with(attribute_prefix) && column.size() > attribute_prefix.size();
}

BodyFault quotes_fault() {
  return fault_of("malformed_csv",
                  "a quoted cell begins and ends with '\"', and a quote inside is doubled");
}

}  // namespace

Result<std::vector<std::string>, BodyFault> split_csv(std::string_view line) {
  std::vector<std::string> cells;
  std::size_t at = 0;
  while (true) {
    std::string cell;
    if (at < line.size() && line[at] == '"') {
      for (++at;; ++at) {
        const std::size_t quote = line.find('"', at);
        if (quote == std::string_view::npos) {
          return quotes_fault();
        }
        cell.append(line, at, quote - at);
        at = quote + 1;
        if (at >= line.size() || line[at] != '"') {
          break;
        }
        cell.push_back('"');
      }
      if (at < line.size() && line[at] != ',') {
        return quotes_fault();
      }
    } else {
      const std::size_t end = std::min(line.find(',', at), line.size());
      cell = line.substr(at, end - at);
      at = end;
      if (cell.find('"') != std::string::npos) {
        return quotes_fault();
      }
    }
    if (cells.size() == columns_max) {
      return fault_of("wrong_columns", "a line has too many cells");
    }
    cells.push_back(std::move(cell));
    if (at >= line.size()) {
      return cells;
    }
    ++at;  // the comma; a cell follows, an empty one at the end of the line
  }
}

Fault ImportParser::read_header(std::string_view line) {
  auto cells = split_csv(line);
  if (!cells) {
    return cells.error();
  }
  for (const std::string& column : *cells) {
    const std::string shown = column.substr(0, 64);
    if (!is_known_column(column)) {
      return fault_of("unknown_column", "the column \"" + shown + "\" is not known");
    }
    if (std::count(cells->begin(), cells->end(), column) > 1) {
      return fault_of("wrong_columns", "the column \"" + shown + "\" stands there twice");
    }
  }
  if (std::find(cells->begin(), cells->end(), "id") == cells->end()) {
    return fault_of("wrong_columns", "the first line must name the columns, \"id\" among them");
  }
  columns_ = *std::move(cells);
  return std::nullopt;
}

Fault ImportParser::read_csv(std::string_view line, auth::ImportRow& row) const {
  auto cells = split_csv(line);
  if (!cells) {
    return cells.error();
  }
  if (cells->size() != columns_.size()) {
    return fault_of("wrong_columns", "the line has " + std::to_string(cells->size()) +
                                         " cells, the header " + std::to_string(columns_.size()));
  }
  Fault first;
  for (std::size_t index = 0; index < columns_.size(); ++index) {
    // All cells, so that the id is known wherever its column stands.
    std::string text{text_of_csv_cell((*cells)[index])};
    Fault fault = read_cell(columns_[index], text, row);
    if (!first) {
      first = std::move(fault);
    }
  }
  return first;
}

void ImportParser::take_line(std::string_view line, const Visit& visit) {
  ++lines_;
  if (lines_ == 1 && line.starts_with(byte_order_mark)) {
    line.remove_prefix(byte_order_mark.size());
  }
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  if (hopeless_ || line.find_first_not_of(" \t") == std::string_view::npos) {
    return;
  }
  ImportLine read;
  read.number = lines_;
  const bool is_header = format_ == ImportFormat::csv && columns_.empty();
  if (!mqtt::is_valid_utf8(line)) {
    read.fault = fault_of("invalid_utf8", "the line is not UTF-8, or holds a NUL");
  } else if (is_header) {
    read.fault = read_header(line);
  } else {
    read.fault =
        format_ == ImportFormat::csv ? read_csv(line, read.row) : read_ndjson(line, read.row);
  }
  hopeless_ = is_header && read.fault;
  if (!is_header || read.fault) {
    visit(std::move(read));
  }
}

void ImportParser::feed(std::string_view bytes, const Visit& visit) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const bool is_whole = end != std::string_view::npos;
    const std::string_view part = bytes.substr(0, end);
    bytes.remove_prefix(is_whole ? end + 1 : bytes.size());
    if (!skipping_ && partial_.size() + part.size() > import_line_bytes_max) {
      skipping_ = true;
      partial_.clear();
      ImportLine read;
      read.number = ++lines_;
      read.fault = fault_of("line_too_long", "a line has at most " +
                                                 std::to_string(import_line_bytes_max) + " bytes");
      hopeless_ = hopeless_ || (format_ == ImportFormat::csv && columns_.empty());
      visit(std::move(read));
    }
    if (skipping_) {
      skipping_ = !is_whole;
    } else if (!is_whole) {
      partial_ += part;
    } else if (partial_.empty()) {
      take_line(part, visit);
    } else {
      partial_ += part;
      take_line(partial_, visit);
      partial_.clear();
    }
  }
}

void ImportParser::finish(const Visit& visit) {
  if (!skipping_ && !partial_.empty()) {
    take_line(partial_, visit);
  }
  partial_.clear();
}

}  // namespace skerry::admin_api
