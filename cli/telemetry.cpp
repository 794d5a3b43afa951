// telemetry latest, query.
#include <boost/json/array.hpp>
#include <ostream>

#include "cli/api.hpp"
#include "cli/commands.hpp"
#include "cli/key_file.hpp"
#include "cli/output.hpp"

namespace skerry::cli {
namespace {

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
  std::string target = target_of(options.id, "/telemetry?");
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) {
      target.append(target.ends_with('?') ? "" : "&").append(name).append("=");
      target += percent_encode(value);
    }
  };
  add("keys", join_keys(options.keys));
  add("from", options.from);
  add("to", options.to);
  add("order", options.order);
  if (options.limit) {
    add("limit", std::to_string(*options.limit));
  }
  return target.ends_with('?') ? target.substr(0, target.size() - 1) : target;
}

}  // namespace

void telemetry_latest(Session& session, const std::string& id) {
  std::vector<Row> rows;
  boost::json::array all;
  Api{session.settings}.each_page(
      target_of(id, "/telemetry/latest"), [&](const boost::json::object& page) {
        for (const boost::json::value& item : page.at("items").as_array()) {
          const boost::json::object& sample = item.as_object();
          rows.push_back({cell(sample.if_contains("key")), cell(sample.if_contains("value")),
                          cell(sample.if_contains("ts"))});
          all.push_back(item);
        }
        return true;
      });
  if (session.output == Output::json) {
    session.out << json_text(all) << '\n';
  } else {
    print_table(session.out, {"KEY", "VALUE", "TIME"}, rows);
  }
}

void telemetry_query(Session& session, const QueryOptions& options) {
  std::vector<Row> rows;
  boost::json::array all;
  Api{session.settings}.each_page(query_target(options), [&](const boost::json::object& page) {
    for (const boost::json::value& series : page.at("series").as_array()) {
      const std::string key = cell(series.as_object().if_contains("key"));
      for (const boost::json::value& item : series.at("samples").as_array()) {
        const boost::json::object& sample = item.as_object();
        rows.push_back({cell(sample.if_contains("ts")), key, cell(sample.if_contains("value"))});
        boost::json::object flat{{"key", key}};
        flat.insert(sample.begin(), sample.end());
        all.push_back(std::move(flat));
      }
    }
    return !options.limit;  // with a limit the first page is all that was asked for
  });
  if (session.output == Output::json) {
    session.out << json_text(all) << '\n';
  } else {
    print_table(session.out, {"TIME", "KEY", "VALUE"}, rows);
  }
}

}  // namespace skerry::cli
