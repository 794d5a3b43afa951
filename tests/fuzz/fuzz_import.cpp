// Import files: the lines that are understood do not depend on the pieces in which the bytes come,
// line numbers only grow, and a device that was understood is exported as a line that means the
// same device.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "admin-api/device_export.hpp"
#include "admin-api/import_parser.hpp"
#include "base/assert.hpp"
#include "base/limits.hpp"

namespace {

using namespace skerry;
using namespace skerry::admin_api;

std::vector<ImportLine> parse(ImportFormat format, std::string_view text, std::size_t piece) {
  std::vector<ImportLine> lines;
  ImportParser parser{format};
  const auto visit = [&](ImportLine line) {
    SKERRY_ASSERT(lines.empty() || lines.back().number < line.number);
    lines.push_back(std::move(line));
  };
  while (!text.empty()) {
    parser.feed(text.substr(0, piece), visit);
    text.remove_prefix(std::min(piece, text.size()));
  }
  parser.finish(visit);
  return lines;
}

/// The device that a row makes; false when the registry would refuse it.
bool make(const auth::ImportRow& row, auth::Device& device) {
  if (!auth::is_valid_device_id(row.id) || auth::check_patch(row.patch)) {
    return false;
  }
  device.id = row.id;
  device.state = row.state;
  auth::apply_patch(row.patch, WallTime{}, device);
  return !auth::check_device(device);
}

bool same(const auth::Device& one, const auth::Device& other) {
  return one.id == other.id && one.state == other.state && one.name == other.name &&
         one.model == other.model && one.serial_number == other.serial_number &&
         one.tags == other.tags && one.attributes == other.attributes &&
         one.not_after == other.not_after &&
         std::equal(one.keys.begin(), one.keys.end(), other.keys.begin(), other.keys.end(),
                    [](const auth::DeviceKey& a, const auth::DeviceKey& b) {
                      return a.fingerprint == b.fingerprint && a.not_after == b.not_after;
                    });
}

void check_round_trip(const auth::Device& device) {
  std::set<std::string, std::less<>> names;
  for (const auto& [name, value] : device.attributes) {
    names.insert(name);
  }
  std::string csv;
  append_csv_header(csv, names);
  append_csv(csv, device, names);
  std::string ndjson;
  append_ndjson(ndjson, device);
  for (const auto& [format, text] :
       {std::pair{ImportFormat::csv, &csv}, {ImportFormat::ndjson, &ndjson}}) {
    if (text->size() > import_line_bytes_max) {
      continue;  // escapes may make a line longer than it was
    }
    const auto lines = parse(format, *text, text->size());
    SKERRY_ASSERT(lines.size() == 1 && !lines.front().fault);
    auth::Device back;
    SKERRY_ASSERT(make(lines.front().row, back));
    SKERRY_ASSERT(same(device, back));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  const ImportFormat format = data[0] % 2 == 0 ? ImportFormat::csv : ImportFormat::ndjson;
  const std::size_t piece = data[1] + 1U;
  const std::string_view text{reinterpret_cast<const char*>(data) + 2, size - 2};
  const auto whole = parse(format, text, size);
  const auto pieces = parse(format, text, piece);
  SKERRY_ASSERT(whole.size() == pieces.size());
  for (std::size_t index = 0; index < whole.size(); ++index) {
    SKERRY_ASSERT(whole[index].number == pieces[index].number);
    SKERRY_ASSERT(whole[index].row.id == pieces[index].row.id);
    SKERRY_ASSERT(whole[index].fault.has_value() == pieces[index].fault.has_value());
    auth::Device device;
    if (!whole[index].fault && make(whole[index].row, device)) {
      check_round_trip(device);
    }
  }
  return 0;
}
