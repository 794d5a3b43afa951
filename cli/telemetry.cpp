// telemetry latest, query.
#include <boost/json/array.hpp>
#include <optional>

#include "cli/api.hpp"
#include "cli/command_line.hpp"
#include "cli/key_file.hpp"
#include "cli/list.hpp"

namespace skerry::cli {
namespace {

struct LatestOptions {
  std::string id;
};

struct QueryOptions {
  std::string id;
  std::vector<std::string> keys;
  std::string from;
  std::string to;
  std::string order;
  std::optional<std::uint32_t> limit;
};

std::string target_of(const std::string& id, const char* resource) {
  check_device_id(id);
  return "/api/v1/devices/" + percent_encode(id) + resource;
}

/// The keys by commas; a comma or backslash inside a key is written with a backslash before it.
std::string join_keys(const std::vector<std::string>& keys) {
  std::string joined;
  for (const std::string& key : keys) {
    joined += joined.empty() ? "" : ",";
    for (const char c : key) {
      joined.append(c == ',' || c == '\\' ? "\\" : "").append(1, c);
    }
  }
  return joined;
}

std::string query_target(const QueryOptions& options) {
  std::string target = target_of(options.id, "/telemetry");
  target = with_parameter(target, "keys", join_keys(options.keys));
  target = with_parameter(target, "from", options.from);
  target = with_parameter(target, "to", options.to);
  target = with_parameter(target, "order", options.order);
  return with_parameter(target, "limit", options.limit ? std::to_string(*options.limit) : "");
}

void telemetry_latest(Session& session, const LatestOptions& options) {
  const std::vector<Column> columns{{"KEY", "key"}, {"VALUE", "value"}, {"TIME", "ts"}};
  print_list(session, {target_of(options.id, "/telemetry/latest"), columns, "key"});
}

void telemetry_query(Session& session, const QueryOptions& options) {
  boost::json::array all;
  Api{session.settings}.each_page(query_target(options), [&](const boost::json::object& page) {
    for (const boost::json::value& series : page.at("series").as_array()) {
      const std::string key = cell(series.as_object().if_contains("key"));
      for (const boost::json::value& item : series.at("samples").as_array()) {
        const boost::json::object& sample = item.as_object();
        boost::json::object flat{{"key", key}};
        flat.insert(sample.begin(), sample.end());
        all.push_back(std::move(flat));
      }
    }
    return !options.limit;  // with a limit the first page is all that was asked for
  });
  print_items(session, {{"TIME", "ts"}, {"KEY", "key"}, {"VALUE", "value"}}, all);
}

}  // namespace

void add_telemetry_commands(CommandLine& line) {
  CLI::App& telemetry = line.group("telemetry", "What devices have sent");
  const auto latest = std::make_shared<LatestOptions>();
  line.add(telemetry, "latest", "Last value of each key", latest, &telemetry_latest)
      .add_option("device", latest->id, "Device id")
      ->required();
  const auto query = std::make_shared<QueryOptions>();
  CLI::App& words =
      line.add(telemetry, "query", "Values of a range of time", query, &telemetry_query);
  words.add_option("device", query->id, "Device id")->required();
  words.add_option("--key", query->keys, "Key; may be given more than once")
      ->allow_extra_args(false);
  words.add_option("--from", query->from, "First instant: RFC 3339, or relative like -1h");
  words.add_option("--to", query->to, "Instant behind the last one, or now");
  words.add_option("--order", query->order, "asc or desc");
  words.add_option("--limit", query->limit, "At most so many samples");
}

}  // namespace skerry::cli
