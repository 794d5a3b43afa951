#include "twin/query.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "twin/time_text.hpp"

namespace skerry::twin {
namespace {

using Failure = std::optional<QueryError>;

const std::string* find(const Parameters& parameters, std::string_view name) {
  const auto it = parameters.find(name);
  return it == parameters.end() ? nullptr : &it->second;
}

Failure refuse_others(const Parameters& parameters, std::initializer_list<std::string_view> known,
                      std::initializer_list<std::string_view> also_known) {
  for (const auto& [name, value] : parameters) {
    if (std::find(known.begin(), known.end(), name) == known.end() &&
        std::find(also_known.begin(), also_known.end(), name) == also_known.end()) {
      std::string list;
      for (const auto& names : {known, also_known}) {
        for (const std::string_view each : names) {
          list.append(list.empty() ? "" : ", ").append(each);
        }
      }
      return QueryError{name, "there is no such parameter; known are " + list};
    }
  }
  return {};
}

constexpr std::string_view aggregate_names[aggregate_kinds] = {"avg",   "min",   "max", "sum",
                                                               "count", "first", "last"};

std::optional<AggregateKind> aggregate_kind(std::string_view name) noexcept {
  const auto* const found = std::find(std::begin(aggregate_names), std::end(aggregate_names), name);
  return found == std::end(aggregate_names)
             ? std::nullopt
             : std::optional(static_cast<AggregateKind>(found - std::begin(aggregate_names)));
}

Failure read_limit(const Parameters& parameters, std::optional<std::size_t>& limit) {
  const std::string* text = find(parameters, "limit");
  if (text == nullptr) {
    return {};
  }
  if (*text == "all") {
    limit.reset();
    return {};
  }
  std::size_t number = 0;
  const char* const end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, number);
  if (error != std::errc{} || stop != end || number < 1 || number > series_page_samples_max) {
    return QueryError{"limit", "must be a number from 1 to " +
                                   std::to_string(series_page_samples_max) + " or all"};
  }
  limit = number;
  return {};
}

Failure read_cursor(const Parameters& parameters, std::optional<SeriesPosition>& start) {
  const std::string* text = find(parameters, "cursor");
  if (text == nullptr) {
    return {};
  }
  start = decode_cursor(*text);
  if (!start) {
    return QueryError{"cursor", "is not one that this server gave"};
  }
  return {};
}

Failure read_keys(const Parameters& parameters, std::vector<std::string>& keys) {
  const std::string* text = find(parameters, "keys");
  if (text == nullptr) {
    return {};
  }
  keys.emplace_back();
  for (std::size_t i = 0; i < text->size(); ++i) {
    const char c = (*text)[i];
    const bool escapes =
        c == '\\' && i + 1 < text->size() && ((*text)[i + 1] == ',' || (*text)[i + 1] == '\\');
    if (c != ',') {
      keys.back().push_back(escapes ? (*text)[++i] : c);
    } else if (keys.size() == series_query_keys_max) {
      return QueryError{"keys", "names more than " + std::to_string(series_query_keys_max)};
    } else {
      keys.emplace_back();
    }
  }
  for (const std::string& key : keys) {
    if (!is_series_key(key)) {
      return QueryError{"keys", "holds an empty or impossible key"};
    }
  }
  return {};
}

Failure read_range(const Parameters& parameters, WallTime now, std::int64_t& from,
                   std::optional<std::int64_t>& to) {
  constexpr std::string_view forms =
      "must be RFC 3339 (2024-05-01T12:00:00Z), epoch milliseconds or relative (-1h)";
  if (const std::string* text = find(parameters, "from")) {
    const auto instant = parse_instant(*text, now);
    if (!instant) {
      return QueryError{"from", std::string(forms)};
    }
    from = *instant;
  }
  if (const std::string* text = find(parameters, "to")) {
    to = parse_instant(*text, now);
    if (!to) {
      return QueryError{"to", std::string(forms)};
    }
    if (*to < from) {
      return QueryError{"to", "lies before from"};
    }
  }
  return {};
}

Failure read_step(const Parameters& parameters, TelemetryQuery& query) {
  const std::string* text = find(parameters, "step");
  if (text == nullptr) {
    return {};
  }
  query.step = parse_duration(*text);
  if (!query.step || *query.step < 1 || *query.step > series_step_max) {
    return QueryError{"step", "must be a time like 90s, 5m, 1h or 1d, up to 366d"};
  }
  return {};
}

Failure read_aggregates(const Parameters& parameters, TelemetryQuery& query) {
  const std::string* text = find(parameters, "agg");
  if (text == nullptr) {
    if (query.step) {
      query.aggregates = {AggregateKind::average};
    }
    return {};
  }
  if (!query.step) {
    return QueryError{"agg", "needs step, the length of a bucket"};
  }
  std::string_view rest = *text;
  do {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const auto kind = aggregate_kind(rest.substr(0, comma));
    if (!kind) {
      return QueryError{"agg", "may name avg, min, max, sum, count, first and last, by commas"};
    }
    if (std::find(query.aggregates.begin(), query.aggregates.end(), *kind) !=
        query.aggregates.end()) {
      return QueryError{"agg", "names one twice"};
    }
    query.aggregates.push_back(*kind);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  } while (!rest.empty());
  return {};
}

/// Empty buckets are made, so their number is capped and the range must have both ends.
Failure read_fill(const Parameters& parameters, WallTime now, TelemetryQuery& query) {
  const std::string* text = find(parameters, "fill");
  if (text == nullptr || *text == "none") {
    return {};
  }
  constexpr std::pair<std::string_view, Fill> fills[] = {
      {"null", Fill::null}, {"prev", Fill::previous}, {"linear", Fill::linear}};
  const auto* const found = std::find_if(std::begin(fills), std::end(fills),
                                         [&](const auto& each) { return each.first == *text; });
  if (found == std::end(fills)) {
    return QueryError{"fill", "must be none, null, prev or linear"};
  }
  query.fill = found->second;
  if (!query.step || find(parameters, "from") == nullptr) {
    return QueryError{"fill", "needs step and from"};
  }
  if (find(parameters, "limit") != nullptr || query.start) {
    return QueryError{"fill", "goes with the whole range, without limit and cursor"};
  }
  query.limit.reset();
  query.from = std::max(query.from, timestamp_min);
  query.to = std::min(query.to.value_or(epoch_milliseconds(now)), timestamp_max + 1);
  query.to = std::max(*query.to, query.from);
  if ((static_cast<double>(*query.to) - static_cast<double>(query.from)) /
          static_cast<double>(*query.step) >
      static_cast<double>(series_buckets_max)) {
    return QueryError{"step", "is too small for the range: more than " +
                                  std::to_string(series_buckets_max) + " buckets would be filled"};
  }
  return {};
}

Failure read_order(const Parameters& parameters, bool& descending) {
  const std::string* text = find(parameters, "order");
  if (text == nullptr || *text == "asc") {
    return {};
  }
  descending = true;
  return *text == "desc" ? Failure{} : QueryError{"order", "must be asc or desc"};
}

}  // namespace

Result<TelemetryQuery, QueryError> read_telemetry_query(
    const Parameters& parameters, WallTime now, std::optional<std::size_t> limit_default,
    std::initializer_list<std::string_view> also_known) {
  TelemetryQuery query;
  query.limit = limit_default;
  Failure failure = refuse_others(
      parameters, {"keys", "from", "to", "step", "agg", "fill", "order", "limit", "cursor"},
      also_known);
  if (!failure) {
    failure = read_keys(parameters, query.keys);
  }
  if (!failure) {
    failure = read_range(parameters, now, query.from, query.to);
  }
  if (!failure) {
    failure = read_step(parameters, query);
  }
  if (!failure) {
    failure = read_aggregates(parameters, query);
  }
  if (!failure) {
    failure = read_order(parameters, query.descending);
  }
  if (!failure) {
    failure = read_limit(parameters, query.limit);
  }
  if (!failure) {
    failure = read_cursor(parameters, query.start);
  }
  if (!failure) {
    failure = read_fill(parameters, now, query);
  }
  if (failure) {
    return *std::move(failure);
  }
  return query;
}

Result<LatestParameters, QueryError> read_latest_parameters(
    const Parameters& parameters, std::optional<std::size_t> limit_default,
    std::initializer_list<std::string_view> also_known) {
  LatestParameters latest;
  latest.limit = limit_default;
  std::optional<SeriesPosition> start;
  Failure failure = refuse_others(parameters, {"keys", "limit", "cursor"}, also_known);
  if (!failure) {
    failure = read_keys(parameters, latest.keys);
  }
  if (!failure) {
    failure = read_limit(parameters, latest.limit);
  }
  if (!failure) {
    failure = read_cursor(parameters, start);
  }
  if (failure) {
    return *std::move(failure);
  }
  if (start) {
    latest.after = std::move(start->key);
  }
  return latest;
}

Result<EraseParameters, QueryError> read_erase_parameters(const Parameters& parameters,
                                                          WallTime now) {
  EraseParameters erase;
  Failure failure = refuse_others(parameters, {"key", "from", "to"}, {});
  if (!failure) {
    failure = read_range(parameters, now, erase.from, erase.to);
  }
  if (const std::string* key = find(parameters, "key"); key != nullptr && !failure) {
    erase.key = *key;
    if (!is_series_key(*key)) {
      failure = QueryError{"key", "is empty or no possible key"};
    }
  }
  if (failure) {
    return *std::move(failure);
  }
  return erase;
}

std::string_view name_of(AggregateKind kind) noexcept {
  return aggregate_names[static_cast<std::size_t>(kind)];
}

bool is_series_key(std::string_view key) noexcept {
  return !key.empty() && key.size() <= telemetry_key_bytes_max &&
         key.find('\0') == std::string_view::npos;
}

}  // namespace skerry::twin
