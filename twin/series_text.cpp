#include "twin/series_text.hpp"

#include <charconv>
#include <cmath>

#include "twin/time_text.hpp"

namespace skerry::twin {
namespace {

void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20) {
      out.append("\\u00").push_back(digits[byte >> 4]);
      out.push_back(digits[byte & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

/// RFC 4180: fields with a comma, quote or line break stand in quotes, quotes are doubled.
void append_csv_string(std::string& out, std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out.append(text);
    return;
  }
  out.push_back('"');
  for (const char c : text) {
    out.append(c == '"' ? 2 : 1, c);
  }
  out.push_back('"');
}

template <typename Number>
void append_number(std::string& out, Number number) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, number);
  out.append(text, end);
}

/// Everything but text is written alike in JSON and CSV.
void append_scalar(std::string& out, const StoredValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    append_number(out, *integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    if (std::isfinite(*real)) {
      append_number(out, *real);
    } else {
      out.append("null");  // JSON has no word for it (RFC 8259 section 6).
    }
  } else if (const auto* boolean = std::get_if<bool>(&value)) {
    out.append(*boolean ? "true" : "false");
  }
}

bool is_flagged(const StoredSample& sample) noexcept {
  return (sample.flags & sample_flag(SampleFlag::clock_skew)) != 0;
}

/// The members "ts", "value" and, when there are any, "flags".
void append_json_members(std::string& out, const StoredSample& sample) {
  out.append("\"ts\":\"");
  append_rfc3339(out, sample.timestamp);
  out.append("\",\"value\":");
  if (const auto* text = std::get_if<std::string>(&sample.value)) {
    append_json_string(out, *text);
  } else {
    append_scalar(out, sample.value);
  }
  if (is_flagged(sample)) {
    out.append(",\"flags\":[\"clock_skew\"]");
  }
}

void append_json_item(std::string& out, std::string_view key, const StoredSample& sample) {
  out.append("{\"key\":");
  append_json_string(out, key);
  out.push_back(',');
  append_json_members(out, sample);
  out.push_back('}');
}

void append_csv_row(std::string& out, std::string_view key, const StoredSample& sample) {
  append_csv_string(out, key);
  out.push_back(',');
  append_rfc3339(out, sample.timestamp);
  out.push_back(',');
  if (const auto* text = std::get_if<std::string>(&sample.value)) {
    append_csv_string(out, *text);
  } else {
    append_scalar(out, sample.value);
  }
  out.append(is_flagged(sample) ? ",clock_skew\r\n" : ",\r\n");
}

void append_line(std::string& out, AnswerForm form, std::string_view key,
                 const StoredSample& sample) {
  if (form == AnswerForm::csv) {
    append_csv_row(out, key, sample);
    return;
  }
  append_json_item(out, key, sample);
  out.push_back('\n');
}

void append_next(std::string& out, const std::optional<SeriesPosition>& next) {
  out.append("],\"next\":");
  if (next) {
    append_json_string(out, encode_cursor(*next));
  } else {
    out.append("null");
  }
  out.push_back('}');
}

std::string start_of_lines(AnswerForm form) {
  return form == AnswerForm::csv ? "key,ts,value,flags\r\n" : "";
}

}  // namespace

std::string_view content_type_of(AnswerForm form) noexcept {
  switch (form) {
    case AnswerForm::json:
      return "application/json";
    case AnswerForm::csv:
      return "text/csv; charset=utf-8; header=present";
    case AnswerForm::ndjson:
      return "application/x-ndjson";
  }
  return {};
}

std::string series_text(const SeriesPage& page, AnswerForm form) {
  if (form != AnswerForm::json) {
    std::string out = start_of_lines(form);
    for (const Series& series : page.series) {
      for (const StoredSample& sample : series.samples) {
        append_line(out, form, series.key, sample);
      }
    }
    return out;
  }
  std::string out = "{\"series\":[";
  for (const Series& series : page.series) {
    out.append(&series == page.series.data() ? "{\"key\":" : ",{\"key\":");
    append_json_string(out, series.key);
    out.append(",\"samples\":[");
    for (const StoredSample& sample : series.samples) {
      out.append(&sample == series.samples.data() ? "{" : ",{");
      append_json_members(out, sample);
      out.push_back('}');
    }
    out.append("]}");
  }
  append_next(out, page.next);
  return out;
}

std::string latest_text(const LatestPage& page, AnswerForm form) {
  if (form != AnswerForm::json) {
    std::string out = start_of_lines(form);
    for (const LatestItem& item : page.items) {
      append_line(out, form, item.key, item.sample);
    }
    return out;
  }
  std::string out = "{\"items\":[";
  for (const LatestItem& item : page.items) {
    out.append(&item == page.items.data() ? "" : ",");
    append_json_item(out, item.key, item.sample);
  }
  append_next(out, next_of(page));
  return out;
}

std::optional<SeriesPosition> next_of(const LatestPage& page) {
  if (!page.more || page.items.empty()) {
    return std::nullopt;
  }
  return SeriesPosition{page.items.back().key, {}};
}

}  // namespace skerry::twin
