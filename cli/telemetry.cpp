// telemetry latest, query, keys, delete; tail is in telemetry_tail.cpp.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <optional>
#include <ostream>

#include "cli/api.hpp"
#include "cli/command_line.hpp"
#include "cli/failure.hpp"
#include "cli/key_file.hpp"
#include "cli/list.hpp"
#include "cli/row_printer.hpp"
#include "cli/telemetry_words.hpp"

namespace skerry::cli {
namespace {

struct LatestOptions {
  std::string id;
  std::string filter;
  std::vector<std::string> keys;
  WatchOptions watch;
};

struct QueryOptions {
  std::string id;
  std::optional<std::string> filter;
  std::vector<std::string> keys;
  std::string from;
  std::string to;
  std::string step;
  std::vector<std::string> aggregates;
  std::string fill;
  std::string order;
  std::string group_by;
  std::optional<std::uint32_t> limit;
};

struct KeysOptions {
  std::string id;
};

struct DeleteOptions {
  std::string id;
  std::string key;
  std::string from;
  std::string to;
  bool all = false;
};

std::string joined(const std::vector<std::string>& texts, const char* separator) {
  std::string out;
  for (const std::string& text : texts) {
    out.append(out.empty() ? "" : separator).append(text);
  }
  return out;
}

void telemetry_latest(Session& session, const LatestOptions& options) {
  std::vector<Column> columns{{"KEY", "key"}, {"VALUE", "value"}, {"TIME", "ts"}};
  std::string target;
  if (options.id.empty()) {
    columns.insert(columns.begin(), Column{"DEVICE", "device"});
    target = with_parameter("/api/v1/telemetry/latest", "filter", options.filter);
  } else {
    target = telemetry_target(options.id, "/telemetry/latest");
  }
  target = with_parameter(target, "keys", join_keys(options.keys));
  if (!options.id.empty()) {
    print_list(session, {target, columns, "key"}, options.watch);
    return;
  }
  if (options.watch.watch) {
    throw Failure("--watch needs a device; for many: skerryctl telemetry tail", exit_usage);
  }
  print_list(session, {target, columns, "device"});
}

/// The columns of a query's rows.
std::vector<Column> columns_of(const QueryOptions& options) {
  std::vector<Column> columns{{"TIME", "ts"}, {"KEY", "key"}};
  if (!options.group_by.empty()) {
    columns.insert(columns.begin() + 1, Column{"GROUP", "group"});
  } else if (options.id.empty()) {
    columns.insert(columns.begin() + 1, Column{"DEVICE", "device"});
  }
  if (options.step.empty()) {
    columns.push_back({"VALUE", "value"});
    columns.push_back({"FLAGS", "flags"});
    return columns;
  }
  std::vector<std::string> names = options.aggregates;
  if (names.empty()) {
    names = {"avg"};
  }
  for (const std::string& name : names) {
    std::string title = name;
    for (char& c : title) {
      c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    }
    columns.push_back({title, name});
  }
  return columns;
}

HttpsRequest device_request(const QueryOptions& options) {
  std::string target = telemetry_target(options.id, "/telemetry");
  target = with_parameter(target, "keys", join_keys(options.keys));
  target = with_parameter(target, "from", options.from);
  target = with_parameter(target, "to", options.to);
  target = with_parameter(target, "step", options.step);
  target = with_parameter(target, "agg", joined(options.aggregates, ","));
  target = with_parameter(target, "fill", options.fill);
  target = with_parameter(target, "order", options.order);
  HttpsRequest request;
  request.target =
      with_parameter(target, "limit", options.limit ? std::to_string(*options.limit) : "");
  return request;
}

HttpsRequest fleet_request(const QueryOptions& options) {
  if (options.limit) {
    throw Failure("--limit needs a device", exit_usage);
  }
  boost::json::object body;
  body["filter"] = *options.filter;
  const auto add = [&body](const char* name, const std::string& value) {
    if (!value.empty()) {
      body[name] = value;
    }
  };
  if (!options.keys.empty()) {
    boost::json::array keys;
    for (const std::string& key : options.keys) {
      keys.emplace_back(key);
    }
    body["keys"] = std::move(keys);
  }
  add("from", options.from);
  add("to", options.to);
  add("step", options.step);
  add("agg", joined(options.aggregates, ","));
  add("fill", options.fill);
  add("order", options.order);
  add("groupBy", options.group_by);
  HttpsRequest request;
  request.method = "POST";
  request.target = "/api/v1/telemetry:query";
  request.headers["Content-Type"] = "application/json";
  request.body = boost::json::serialize(body);
  return request;
}

/// Rows are printed as they come, so that a long range needs no memory here either.
void telemetry_query(Session& session, const QueryOptions& options) {
  if (options.id.empty() == !options.filter.has_value()) {
    throw Failure("give either a device or --filter (which may be empty, for all)", exit_usage);
  }
  HttpsRequest request = options.filter ? fleet_request(options) : device_request(options);
  request.headers["Accept"] = "application/x-ndjson";
  RowPrinter printer{session, columns_of(options), true};
  LineCutter lines;
  const auto print = [&printer](std::string_view line) {
    printer.print(boost::json::parse(line).as_object());
    return true;
  };
  request.sink = [&](std::string_view part) {
    return lines.feed(part, print) && session.out.good();
  };
  static_cast<void>(Api{session.settings}.exchange(std::move(request)));
  printer.finish();
  if (printer.count() == 0 && session.output == Output::table) {
    print_done(session, "there is nothing in this range");
  }
}

void telemetry_keys(Session& session, const KeysOptions& options) {
  const std::vector<Column> columns{
      {"KEY", "key"}, {"TYPE", "type"}, {"UNIT", "unit"}, {"LAST", "lastTs"}};
  print_list(session, {telemetry_target(options.id, "/telemetry/keys"), columns, "key"});
}

void telemetry_delete(Session& session, const DeleteOptions& options) {
  const bool narrowed = !options.key.empty() || !options.from.empty() || !options.to.empty();
  if (narrowed == options.all) {
    throw Failure("say what: --key, --from, --to, or --all for everything", exit_usage);
  }
  std::string target = telemetry_target(options.id, "/telemetry");
  target = with_parameter(target, "key", options.key);
  target = with_parameter(target, "from", options.from);
  target = with_parameter(target, "to", options.to);
  Api{session.settings}.call("DELETE", target);
  print_done(session, "telemetry of " + options.id + " deleted");
}

void add_query(CommandLine& line, CLI::App& telemetry) {
  const auto query = std::make_shared<QueryOptions>();
  CLI::App& words = line.add(telemetry, "query", "Values of a range of time, or buckets of them",
                             query, &telemetry_query);
  words.add_option("device", query->id, "Device id; without it --filter");
  words.add_option("-l,--filter", query->filter, "All devices that this filter chooses");
  words.add_option("--key", query->keys, "Key; may be given more than once")
      ->allow_extra_args(false);
  words.add_option("--from", query->from, "First instant: RFC 3339, or relative like -1h");
  words.add_option("--to", query->to, "Instant behind the last one, or now");
  words.add_option("--step", query->step, "Length of a bucket: 90s, 5m, 1h, 1d");
  words.add_option("--agg", query->aggregates, "avg, min, max, sum, count, first, last; by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  words.add_option("--fill", query->fill, "Empty buckets: none, null, prev or linear");
  words.add_option("--group-by", query->group_by, "all, tags, state, model or attributes.NAME");
  words.add_option("--order", query->order, "asc or desc");
  words.add_option("--limit", query->limit, "At most so many rows");
}

}  // namespace

std::string telemetry_target(const std::string& id, const char* resource) {
  check_device_id(id);
  return "/api/v1/devices/" + percent_encode(id) + resource;
}

std::string join_keys(const std::vector<std::string>& keys) {
  std::string out;
  for (const std::string& key : keys) {
    out += out.empty() ? "" : ",";
    for (const char c : key) {
      out.append(c == ',' || c == '\\' ? "\\" : "").append(1, c);
    }
  }
  return out;
}

void add_telemetry_commands(CommandLine& line) {
  CLI::App& telemetry = line.group("telemetry", "What devices have sent");
  const auto latest = std::make_shared<LatestOptions>();
  CLI::App& latest_words = line.add(telemetry, "latest", "Last value of each key, of one or many",
                                    latest, &telemetry_latest);
  latest_words.add_option("device", latest->id, "Device id; without it all, or --filter");
  latest_words.add_option("-l,--filter", latest->filter, "All devices that this filter chooses");
  latest_words.add_option("--key", latest->keys, "Key; may be given more than once")
      ->allow_extra_args(false);
  add_watch_flags(latest_words, latest->watch);
  add_query(line, telemetry);
  add_tail_command(line, telemetry);
  const auto keys = std::make_shared<KeysOptions>();
  line.add(telemetry, "keys", "Keys of a device with type and unit", keys, &telemetry_keys)
      .add_option("device", keys->id, "Device id")
      ->required();
  const auto erase = std::make_shared<DeleteOptions>();
  CLI::App& erase_words = line.add(
      telemetry, "delete", "Delete values of a key, of a range, or all", erase, &telemetry_delete);
  erase_words.add_option("device", erase->id, "Device id")->required();
  erase_words.add_option("--key", erase->key, "This key alone");
  erase_words.add_option("--from", erase->from, "First instant");
  erase_words.add_option("--to", erase->to, "Instant behind the last one");
  erase_words.add_flag("--all", erase->all, "Everything of the device");
}

}  // namespace skerry::cli
