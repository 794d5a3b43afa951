// telemetry tail: the live stream, one line for each value, until it is interrupted. When the
// connection breaks it goes on behind the last event it has seen.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <ostream>
#include <thread>

#include "cli/api.hpp"
#include "cli/failure.hpp"
#include "cli/row_printer.hpp"
#include "cli/telemetry_words.hpp"

namespace skerry::cli {
namespace {

constexpr std::chrono::seconds retry_pause{2};

struct TailOptions {
  std::string id;
  std::string filter;
  std::vector<std::string> keys;
  std::uint64_t count = 0;  ///< 0: until interrupted
};

class Tail {
 public:
  Tail(Session& session, const TailOptions& options)
      : session_(session),
        options_(options),
        printer_(session,
                 {{"TIME", "ts"}, {"DEVICE", "device"}, {"KEY", "key"}, {"VALUE", "value"}},
                 false) {}

  /// Reads the stream until it ends; throws Failure when it cannot be opened or breaks.
  void read();
  bool is_done() const noexcept {
    return !session_.out.good() || (options_.count > 0 && printer_.count() >= options_.count);
  }
  bool was_open() const noexcept { return was_open_; }

 private:
  bool take_line(std::string_view line);
  void take_event();
  void print_samples(const boost::json::object& event);

  Session& session_;
  const TailOptions& options_;
  RowPrinter printer_;
  std::string last_id_;
  std::string type_;
  std::string data_;
  bool was_open_ = false;
};

void Tail::print_samples(const boost::json::object& event) {
  const boost::json::object& data = event.at("data").as_object();
  for (const boost::json::value& sample : data.at("samples").as_array()) {
    const std::string key = cell(sample.as_object().if_contains("key"));
    const bool wanted =
        options_.keys.empty() ||
        std::find(options_.keys.begin(), options_.keys.end(), key) != options_.keys.end();
    if (!wanted || is_done()) {
      continue;
    }
    boost::json::object row{{"device", event.at("device")}};
    row.insert(sample.as_object().begin(), sample.as_object().end());
    printer_.print(row);
  }
  if (const boost::json::value* omitted = data.if_contains("omitted")) {
    session_.err << "(" << cell(omitted) << " more values in this message)\n";
  }
  session_.out.flush();
}

void Tail::take_event() {
  const boost::json::object event = boost::json::parse(data_).as_object();
  if (type_ == "telemetry") {
    print_samples(event);
  } else if (type_ == "gap") {
    const std::string lost = cell(event.if_contains("lost"));
    session_.err << (lost == "-" ? std::string{"(events were lost)\n"}
                                 : "(" + lost + " events were lost)\n");
  } else if (type_ == "end" && cell(event.if_contains("reason")) == "token_invalid") {
    throw Failure("the token is no longer good; log in with: skerryctl login", exit_denied);
  }
}

bool Tail::take_line(std::string_view line) {
  was_open_ = true;
  const std::size_t colon = line.find(": ");
  if (line.empty()) {
    if (!data_.empty()) {
      take_event();
    }
    type_.clear();
    data_.clear();
  } else if (line.starts_with("id: ")) {
    last_id_ = line.substr(colon + 2);
  } else if (line.starts_with("event: ")) {
    type_ = line.substr(colon + 2);
  } else if (line.starts_with("data: ")) {
    data_ += line.substr(colon + 2);
  }
  return !is_done();
}

void Tail::read() {
  HttpsRequest request;
  if (options_.id.empty()) {
    request.target = with_parameter("/api/v1/events?types=telemetry", "filter", options_.filter);
  } else {
    request.target = telemetry_target(options_.id, "/telemetry/live");
  }
  request.headers["Accept"] = "text/event-stream";
  if (!last_id_.empty()) {
    request.headers["Last-Event-ID"] = last_id_;
  }
  LineCutter lines;
  type_.clear();
  data_.clear();
  was_open_ = false;
  request.sink = [&](std::string_view part) {
    return lines.feed(part, [this](std::string_view line) { return take_line(line); });
  };
  static_cast<void>(Api{session_.settings}.exchange(std::move(request)));
}

void telemetry_tail(Session& session, const TailOptions& options) {
  if (!options.id.empty() && !options.filter.empty()) {
    throw Failure("give a device or --filter, not both", exit_usage);
  }
  Tail tail{session, options};
  for (bool opened = false; !tail.is_done();) {
    try {
      tail.read();
      opened = true;
    } catch (const Failure& failure) {
      opened = opened || tail.was_open();
      // What never worked is an error; what did is tried again.
      if (!opened || failure.exit_code != exit_unreachable) {
        throw;
      }
    }
    if (!tail.is_done()) {
      std::this_thread::sleep_for(retry_pause);
    }
  }
}

}  // namespace

void add_tail_command(CommandLine& line, CLI::App& telemetry) {
  const auto tail = std::make_shared<TailOptions>();
  CLI::App& words =
      line.add(telemetry, "tail", "Values as they come, until interrupted", tail, &telemetry_tail);
  words.add_option("device", tail->id, "Device id; without it all, or --filter");
  words.add_option("-l,--filter", tail->filter, "All devices that this filter chooses");
  words.add_option("--key", tail->keys, "Key; may be given more than once")
      ->allow_extra_args(false);
  words.add_option("-n,--count", tail->count, "End after so many values");
}

}  // namespace skerry::cli
