#include "twin/series_text.hpp"

#include "twin/time_text.hpp"
#include "twin/value_text.hpp"

namespace skerry::twin {
namespace {

void append_json_item(std::string& out, std::string_view key, const StoredSample& sample) {
  out.append("{\"key\":");
  append_json_string(out, key);
  out.push_back(',');
  append_json_members(out, sample.timestamp, view_of(sample.value), sample.flags);
  out.push_back('}');
}

void append_csv_row(std::string& out, std::string_view key, const StoredSample& sample) {
  append_csv_string(out, key);
  out.push_back(',');
  append_rfc3339(out, sample.timestamp);
  out.push_back(',');
  append_csv_value(out, view_of(sample.value));
  out.append((sample.flags & sample_flag(SampleFlag::clock_skew)) != 0 ? ",clock_skew\r\n"
                                                                       : ",\r\n");
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
      append_json_members(out, sample.timestamp, view_of(sample.value), sample.flags);
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
