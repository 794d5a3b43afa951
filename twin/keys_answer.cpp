#include "twin/keys_answer.hpp"

#include <algorithm>

#include "base/limits.hpp"
#include "twin/time_text.hpp"
#include "twin/value_text.hpp"

namespace skerry::twin {
namespace {

using storage::Status;

/// Series that are read at once.
constexpr std::size_t page_keys = 500;

/// A page of newest samples behind `parameters.after`, which moves on. What `keys` does not name is
/// left out; `limit` counts what is read.
Result<LatestPage, Status> read_page(const SeriesStore& store, const std::string& device,
                                     LatestParameters& parameters, WallTime now) {
  LatestQuery query;
  query.device = device;
  query.now = now;
  query.after_key = parameters.after;
  query.limit = std::min(parameters.limit.value_or(page_keys), series_page_samples_max);
  auto page = store.latest(query);
  if (page.has_error() || page->items.empty()) {
    return page;
  }
  parameters.after = page->items.back().key;
  const std::vector<std::string>& keys = parameters.keys;
  if (!keys.empty()) {
    std::erase_if(page->items, [&keys](const LatestItem& item) {
      return std::find(keys.begin(), keys.end(), item.key) == keys.end();
    });
  }
  return page;
}

std::string_view type_of(const StoredValue& value) noexcept {
  constexpr std::string_view names[] = {"integer", "number", "boolean", "string"};
  return names[value.index()];
}

}  // namespace

LatestAnswer::LatestAnswer(AnswerSources sources, std::string device, LatestParameters parameters,
                           RowShape shape)
    : sources_(sources),
      device_(std::move(device)),
      parameters_(std::move(parameters)),
      text_(std::move(shape)) {}

Result<AnswerState, Status> LatestAnswer::step(std::string& out) {
  if (!begun_) {
    text_.begin(out);
    begun_ = true;
  }
  const auto page =
      read_page(sources_.store, device_, parameters_, wall_from_epoch(text_.shape().now));
  if (page.has_error()) {
    return page.error();
  }
  for (const LatestItem& item : page->items) {
    std::string unit;
    if (text_.shape().form == AnswerForm::senml) {
      unit = unit_or_none(sources_.units, device_, item.key);
    }
    text_.series(out, {}, item.key, unit);
    text_.sample(out, item.sample.timestamp, view_of(item.sample.value), item.sample.flags);
    any_ = true;
  }
  if (page->more && !parameters_.limit) {
    return AnswerState::more;
  }
  if (page->more) {
    next_ = SeriesPosition{parameters_.after, {}};
  }
  text_.end(out, next_ ? std::optional(encode_cursor(*next_)) : std::nullopt);
  return AnswerState::done;
}

KeysAnswer::KeysAnswer(AnswerSources sources, std::string device, LatestParameters parameters,
                       WallTime now)
    : sources_(sources),
      device_(std::move(device)),
      parameters_(std::move(parameters)),
      now_(now) {}

Result<AnswerState, Status> KeysAnswer::step(std::string& out) {
  out.append(begun_ ? "" : "{\"items\":[");
  begun_ = true;
  const auto page = read_page(sources_.store, device_, parameters_, now_);
  if (page.has_error()) {
    return page.error();
  }
  for (const LatestItem& item : page->items) {
    out.append(any_ ? ",{\"key\":" : "{\"key\":");
    any_ = true;
    append_json_string(out, item.key);
    out.append(",\"type\":\"").append(type_of(item.sample.value)).append("\"");
    const auto unit = sources_.units.unit_of(device_, item.key);
    if (unit.has_error()) {
      return unit.error();
    }
    if (!unit->empty()) {
      out.append(",\"unit\":");
      append_json_string(out, *unit);
    }
    out.append(",\"lastTs\":\"");
    append_rfc3339(out, item.sample.timestamp);
    out.append("\"}");
  }
  if (page->more && !parameters_.limit) {
    return AnswerState::more;
  }
  out.append("],\"next\":");
  if (page->more) {
    next_ = SeriesPosition{parameters_.after, {}};
    append_json_string(out, encode_cursor(*next_));
  } else {
    out.append("null");
  }
  out.push_back('}');
  return AnswerState::done;
}

}  // namespace skerry::twin
