#include "twin/row_text.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/csv_cell.hpp"
#include "twin/time_text.hpp"
#include "twin/value_text.hpp"

namespace skerry::twin {
namespace {

/// SenML reads smaller times, in seconds, as relative to now.
constexpr std::int64_t senml_absolute_min = (std::int64_t{1} << 28) * 1000;

std::string_view column_of(RowSubject subject) noexcept {
  switch (subject) {
    case RowSubject::none:
      return {};
    case RowSubject::device:
      return "device";
    case RowSubject::group:
      return "group";
  }
  return {};
}

/// Nothing when the bucket has no such value.
std::optional<Value> value_of(const BucketValues& bucket, AggregateKind kind) noexcept {
  if (kind == AggregateKind::count) {
    return Value{static_cast<std::int64_t>(bucket.count)};
  }
  return bucket.known ? std::optional<Value>(bucket.values[static_cast<std::size_t>(kind)])
                      : std::nullopt;
}

/// SenML allows few characters in names; what it does not allow becomes '_'.
std::string senml_name(std::string_view key) {
  std::string name(key);
  std::replace_if(
      name.begin(), name.end(),
      [](char c) {
        return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == ':' || c == '.' || c == '/' || c == '_');
      },
      '_');
  return name;
}

/// Seconds with up to three decimals.
void append_seconds(std::string& out, std::int64_t milliseconds) {
  if (milliseconds < 0) {
    out.push_back('-');
    milliseconds = -milliseconds;
  }
  append_number(out, milliseconds / 1000);
  if (const std::int64_t rest = milliseconds % 1000; rest != 0) {
    out.push_back('.');
    out.append(rest < 100 ? rest < 10 ? "00" : "0" : "");
    append_number(out, rest);
  }
}

}  // namespace

BucketValues values_of(const Aggregate& aggregate) noexcept {
  BucketValues out;
  out.count = aggregate.count;
  out.known = aggregate.numbers > 0;
  const auto set = [&out](AggregateKind kind, double value) {
    out.values[static_cast<std::size_t>(kind)] = value;
  };
  set(AggregateKind::average, aggregate.average());
  set(AggregateKind::minimum, aggregate.minimum);
  set(AggregateKind::maximum, aggregate.maximum);
  set(AggregateKind::sum, aggregate.sum);
  set(AggregateKind::first, aggregate.first);
  set(AggregateKind::last, aggregate.last);
  return out;
}

void RowText::begin(std::string& out) {
  switch (shape_.form) {
    case AnswerForm::json:
      out.append(shape_.newest ? "{\"items\":[" : "{\"series\":[");
      break;
    case AnswerForm::ndjson:
      break;
    case AnswerForm::senml:
      out.push_back('[');
      break;
    case AnswerForm::csv:
      if (shape_.subject != RowSubject::none) {
        out.append(column_of(shape_.subject)).push_back(',');
      }
      out.append("key,ts");
      for (const AggregateKind kind : shape_.aggregates) {
        out.append(",").append(name_of(kind));
      }
      out.append(shape_.aggregates.empty() ? ",value,flags\r\n" : "\r\n");
      break;
  }
}

void RowText::close_series(std::string& out) {
  if (series_is_open_ && shape_.form == AnswerForm::json && !shape_.newest) {
    out.append("]}");
  }
  series_is_open_ = false;
}

void RowText::series(std::string& out, std::string_view subject, std::string_view key,
                     std::string_view unit) {
  close_series(out);
  prefix_.clear();
  if (shape_.form == AnswerForm::senml) {
    SKERRY_ASSERT(shape_.subject != RowSubject::group);
    const std::string_view device =
        shape_.subject == RowSubject::device ? subject : std::string_view(shape_.device);
    if (!any_series_ || device != subject_) {
      senml_base_ = "urn:skerry:device:" + std::string(device) + ":";
    }
    subject_ = device;
    senml_key_ = senml_name(key);
    senml_unit_ = unit;
  } else if (shape_.form == AnswerForm::csv) {
    if (shape_.subject != RowSubject::none) {
      append_csv_cell(prefix_, subject);
      prefix_.push_back(',');
    }
    append_csv_cell(prefix_, key);
    prefix_.push_back(',');
  } else {
    prefix_.push_back('{');
    if (shape_.subject != RowSubject::none) {
      prefix_.append("\"").append(column_of(shape_.subject)).append("\":");
      append_json_string(prefix_, subject);
      prefix_.push_back(',');
    }
    prefix_.append("\"key\":");
    append_json_string(prefix_, key);
    prefix_.push_back(',');
    if (shape_.form == AnswerForm::json && !shape_.newest) {
      out.append(any_series_ ? "," : "").append(prefix_);
      out.append(shape_.aggregates.empty() ? "\"samples\":[" : "\"buckets\":[");
      prefix_ = "{";
      any_row_ = false;
    }
  }
  series_is_open_ = true;
  any_series_ = true;
}

void RowText::begin_row(std::string& out) {
  SKERRY_ASSERT(series_is_open_);
  if (shape_.form == AnswerForm::json && any_row_) {
    out.push_back(',');
  }
  any_row_ = true;
  out.append(prefix_);
}

void RowText::senml_record(std::string& out, std::string_view suffix, std::int64_t timestamp,
                           const Value& value) {
  out.append(any_row_ ? ",{" : "{");
  any_row_ = true;
  if (!senml_base_.empty()) {
    out.append("\"bn\":");
    append_json_string(out, senml_base_);
    out.push_back(',');
    senml_base_.clear();
  }
  out.append("\"n\":\"").append(senml_key_).append(suffix).append("\",");
  if (!senml_unit_.empty()) {
    out.append("\"u\":");
    append_json_string(out, senml_unit_);
    out.push_back(',');
  }
  out.append("\"t\":");
  append_seconds(out, timestamp >= senml_absolute_min ? timestamp : timestamp - shape_.now);
  if (std::holds_alternative<bool>(value)) {
    out.append(",\"vb\":");
  } else {
    out.append(std::holds_alternative<std::string_view>(value) ? ",\"vs\":" : ",\"v\":");
  }
  append_json_value(out, value);
  out.push_back('}');
}

void RowText::sample(std::string& out, std::int64_t timestamp, const Value& value,
                     std::uint8_t flags) {
  if (shape_.form == AnswerForm::senml) {
    senml_record(out, {}, timestamp, value);
    return;
  }
  begin_row(out);
  if (shape_.form == AnswerForm::csv) {
    append_rfc3339(out, timestamp);
    out.push_back(',');
    append_csv_value(out, value);
    out.append((flags & sample_flag(SampleFlag::clock_skew)) != 0 ? ",clock_skew\r\n" : ",\r\n");
    return;
  }
  append_json_members(out, timestamp, value, flags);
  out.append(shape_.form == AnswerForm::ndjson ? "}\n" : "}");
}

void RowText::bucket(std::string& out, std::int64_t start, const BucketValues& values) {
  if (shape_.form == AnswerForm::senml) {
    for (const AggregateKind kind : shape_.aggregates) {
      if (const auto value = value_of(values, kind)) {
        senml_record(out, "." + std::string(name_of(kind)), start, *value);
      }
    }
    return;
  }
  begin_row(out);
  const bool csv = shape_.form == AnswerForm::csv;
  out.append(csv ? "" : "\"ts\":\"");
  append_rfc3339(out, start);
  out.append(csv ? "" : "\"");
  for (const AggregateKind kind : shape_.aggregates) {
    const auto value = value_of(values, kind);
    if (csv) {
      out.push_back(',');
      if (value) {
        append_csv_value(out, *value);
      }
    } else {
      out.append(",\"").append(name_of(kind)).append("\":");
      value ? append_json_value(out, *value) : static_cast<void>(out.append("null"));
    }
  }
  out.append(csv ? "\r\n" : shape_.form == AnswerForm::ndjson ? "}\n" : "}");
}

void RowText::end(std::string& out, const std::optional<std::string>& cursor) {
  close_series(out);
  if (shape_.form == AnswerForm::senml) {
    out.push_back(']');
  }
  if (shape_.form != AnswerForm::json) {
    return;
  }
  out.append("],\"next\":");
  if (cursor) {
    append_json_string(out, *cursor);
  } else {
    out.append("null");
  }
  out.push_back('}');
}

}  // namespace skerry::twin
