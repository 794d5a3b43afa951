#include "backup/manifest.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <initializer_list>
#include <limits>

#include "base/backup_limits.hpp"
#include "storage/kv_store.hpp"

namespace skerry::backup {

namespace {

namespace json = boost::json;

constexpr std::size_t name_bytes_max = 64;
constexpr std::size_t path_bytes_max = 512;
constexpr std::size_t text_bytes_max = 64;
constexpr std::size_t digest_digits = 64;
constexpr std::size_t json_depth_max = 4;

bool is_plain(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

/// Reads members and remembers what was wrong first.
class Reader {
 public:
  bool only(const json::object& from, std::initializer_list<std::string_view> known) {
    for (const auto& member : from) {
      if (std::find(known.begin(), known.end(), std::string_view{member.key()}) == known.end()) {
        return wrong("an unknown member \"" + std::string{member.key()} + "\"");
      }
    }
    return true;
  }

  std::string text(const json::object& from, std::string_view name, std::size_t bytes_max) {
    const json::value* found = from.if_contains(name);
    if (found == nullptr || !found->is_string() || found->get_string().size() > bytes_max) {
      wrong("no usable \"" + std::string{name} + "\"");
      return {};
    }
    return std::string{found->get_string()};
  }

  std::string digest(const json::object& from) {
    std::string value = text(from, "sha256", digest_digits);
    const bool sound =
        value.size() == digest_digits && std::all_of(value.begin(), value.end(), [](char c) {
          return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        });
    if (!sound) {
      wrong("no usable \"sha256\"");
    }
    return value;
  }

  /// Whole and not negative.
  std::uint64_t number(const json::object& from, std::string_view name) {
    const json::value* found = from.if_contains(name);
    if (found != nullptr && found->is_int64() && found->get_int64() >= 0) {
      return static_cast<std::uint64_t>(found->get_int64());
    }
    wrong("no usable \"" + std::string{name} + "\"");
    return 0;
  }

  /// Objects of a list that may have `count_max` of them; nullptr when it is none.
  const json::array* list(const json::object& from, std::string_view name, std::size_t count_max) {
    const json::value* found = from.if_contains(name);
    const bool sound = found != nullptr && found->is_array() &&
                       found->get_array().size() <= count_max &&
                       std::all_of(found->get_array().begin(), found->get_array().end(),
                                   [](const json::value& item) { return item.is_object(); });
    if (!sound) {
      wrong("no usable \"" + std::string{name} + "\"");
      return nullptr;
    }
    return &found->get_array();
  }

  bool wrong(std::string what) {
    if (wrong_.empty()) {
      wrong_ = std::move(what);
    }
    return false;
  }

  const std::string& wrong() const noexcept { return wrong_; }

 private:
  std::string wrong_;
};

Outcome damaged(const std::string& what) {
  return {Code::damaged, std::string{manifest_name} + " cannot be used: it has " + what};
}

void read_files(Reader& in, const json::object& from, std::vector<FileEntry>& files) {
  const json::array* list = in.list(from, "files", backup_files_max);
  for (std::size_t index = 0; list != nullptr && index < list->size(); ++index) {
    const json::object& item = (*list)[index].get_object();
    in.only(item, {"path", "bytes", "sha256"});
    FileEntry entry{in.text(item, "path", path_bytes_max), in.number(item, "bytes"),
                    in.digest(item)};
    if (!is_backup_path(entry.path)) {
      in.wrong("a path that leads elsewhere");
    }
    if (!files.empty() && entry.path <= files.back().path) {
      in.wrong("files that come twice or out of order");
    }
    files.push_back(std::move(entry));
  }
}

void read_families(Reader& in, const json::object& from, std::vector<FamilyEntry>& families) {
  const json::array* list = in.list(from, "families", std::numeric_limits<std::uint8_t>::max());
  for (std::size_t index = 0; list != nullptr && index < list->size(); ++index) {
    const json::object& item = (*list)[index].get_object();
    in.only(item, {"name", "records", "bytes", "sha256"});
    families.push_back({in.text(item, "name", text_bytes_max), in.number(item, "records"),
                        in.number(item, "bytes"), in.digest(item)});
  }
}

}  // namespace

std::uint64_t Manifest::bytes() const noexcept {
  std::uint64_t total = 0;
  for (const FileEntry& file : files) {
    total += file.bytes;
  }
  return total;
}

bool is_backup_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= name_bytes_max && is_plain(name.front()) &&
         name.front() != '.' && name.front() != '-' && name.front() != '_' &&
         std::all_of(name.begin(), name.end(), is_plain);
}

bool is_backup_path(std::string_view path) noexcept {
  if (path.size() > path_bytes_max || (!path.starts_with("store/") && !path.starts_with("ca/"))) {
    return false;
  }
  for (std::string_view rest = path; !rest.empty() || path.ends_with('/');) {
    const std::size_t end = rest.find('/');
    const std::string_view segment = rest.substr(0, end);
    if (segment.empty() || segment.front() == '.' ||
        !std::all_of(segment.begin(), segment.end(), is_plain)) {
      return false;
    }
    if (end == std::string_view::npos) {
      return true;
    }
    rest.remove_prefix(end + 1);
  }
  return true;
}

std::string encode_manifest(const Manifest& manifest) {
  json::array families;
  for (const FamilyEntry& family : manifest.families) {
    families.push_back({{"name", family.name},
                        {"records", static_cast<std::int64_t>(family.records)},
                        {"bytes", static_cast<std::int64_t>(family.bytes)},
                        {"sha256", family.sha256}});
  }
  json::array files;
  for (const FileEntry& file : manifest.files) {
    files.push_back({{"path", file.path},
                     {"bytes", static_cast<std::int64_t>(file.bytes)},
                     {"sha256", file.sha256}});
  }
  const json::object all{{"format", manifest_format},
                         {"name", manifest.name},
                         {"created", epoch_milliseconds(manifest.created)},
                         {"serverVersion", manifest.server_version},
                         {"storeFormat", manifest.store_format},
                         {"sequence", static_cast<std::int64_t>(manifest.sequence)},
                         {"families", std::move(families)},
                         {"files", std::move(files)}};
  return json::serialize(all) + "\n";
}

Result<Manifest, Outcome> decode_manifest(std::string_view text) {
  if (text.size() > backup_manifest_bytes_max) {
    return damaged("more bytes than a manifest may have");
  }
  json::parse_options options;
  options.max_depth = json_depth_max;
  boost::system::error_code error;
  const json::value parsed = json::parse(text, error, {}, options);
  if (error || !parsed.is_object()) {
    return damaged("no JSON object");
  }
  const json::object& from = parsed.get_object();
  Reader in;
  const std::uint64_t format = in.number(from, "format");
  if (in.wrong().empty() && format > manifest_format) {
    return Outcome{Code::newer, "the backup was made by a newer version: its manifest has format " +
                                    std::to_string(format)};
  }
  in.only(from, {"format", "name", "created", "serverVersion", "storeFormat", "sequence",
                 "families", "files"});
  Manifest manifest;
  manifest.name = in.text(from, "name", name_bytes_max);
  manifest.created = wall_from_epoch(static_cast<std::int64_t>(in.number(from, "created")));
  manifest.server_version = in.text(from, "serverVersion", text_bytes_max);
  const std::uint64_t store_format = in.number(from, "storeFormat");
  manifest.sequence = in.number(from, "sequence");
  if (!is_backup_name(manifest.name)) {
    in.wrong("no usable \"name\"");
  }
  read_families(in, from, manifest.families);
  read_files(in, from, manifest.files);
  if (!in.wrong().empty()) {
    return damaged(in.wrong());
  }
  if (store_format > storage::format_version) {
    return Outcome{Code::newer, "the store in the backup has format version " +
                                    std::to_string(store_format) +
                                    ", but this program reads versions up to " +
                                    std::to_string(storage::format_version)};
  }
  manifest.store_format = static_cast<std::uint32_t>(store_format);
  return manifest;
}

}  // namespace skerry::backup
