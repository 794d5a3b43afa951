// Import and export of devices. The file is read as it comes and committed batch by batch; the
// results are kept until it has been read (they are short and their number is capped), since most
// clients do not read while they send.
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "admin-api/device_export.hpp"
#include "admin-api/device_json.hpp"
#include "admin-api/handlers.hpp"
#include "admin-api/import_parser.hpp"
#include "base/limits.hpp"
#include "http/await.hpp"

namespace skerry::admin_api {
namespace {

using auth::ImportConflict;
using auth::ImportResult;
using boost::asio::awaitable;
using http::Response;

constexpr std::size_t export_page_devices = 500;
constexpr std::size_t export_columns_max = 256;
constexpr std::size_t chunk_bytes = 64 * 1024;

std::string media_type(std::string_view value) {
  std::string type{value.substr(0, value.find(';'))};
  std::erase_if(type, [](char c) { return c == ' ' || c == '\t'; });
  for (char& c : type) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return type;
}

struct ImportWish {
  ImportFormat format = ImportFormat::ndjson;
  ImportConflict conflict = ImportConflict::fail;
  bool dry_run = false;
};

Result<ImportWish, Response> read_wish(const http::Request& request) {
  ImportWish wish;
  const auto refuse = [](std::string_view detail, const std::string& name) {
    return http::problem(400, "invalid_parameter", detail, "/query/" + name);
  };
  for (const auto& [name, value] : request.query) {
    if (name == "dryRun") {
      if (value != "true" && value != "false") {
        return refuse("dryRun must be true or false", name);
      }
      wish.dry_run = value == "true";
    } else if (name == "onConflict") {
      if (value != "fail" && value != "skip" && value != "update") {
        return refuse("onConflict must be fail, skip or update", name);
      }
      wish.conflict = value == "skip"     ? ImportConflict::skip
                      : value == "update" ? ImportConflict::update
                                          : ImportConflict::fail;
    } else {
      return http::problem(400, "invalid_parameter",
                           "the query parameter \"" + name.substr(0, 64) + "\" is not known here");
    }
  }
  const std::string type = media_type(request.header("content-type"));
  if (type != "application/x-ndjson" && type != "text/csv") {
    return http::problem(415, "unsupported_media_type",
                         "the body must be application/x-ndjson or text/csv");
  }
  wish.format = type == "text/csv" ? ImportFormat::csv : ImportFormat::ndjson;
  return wish;
}

/// One import from its first byte to its summary. Used on the admin loop.
class Import {
 public:
  Import(Services services, const http::Request& request, ImportWish wish)
      : services_(std::move(services)), request_(request), wish_(wish), parser_(wish.format) {}

  awaitable<void> run(http::BodyWriter& writer);

 private:
  awaitable<void> read_all();
  awaitable<void> apply();
  void report(const ImportLine& line, const ImportResult& result);
  void report_error(const ImportLine& line, std::string_view code, std::string_view detail,
                    std::string_view pointer);
  void stop(std::string_view code, std::string_view detail);
  std::string summary() const;

  Services services_;
  const http::Request& request_;
  const ImportWish wish_;
  ImportParser parser_;
  auth::ImportOverlay overlay_;
  std::vector<ImportLine> waiting_;
  std::string results_;
  std::size_t created_ = 0;
  std::size_t updated_ = 0;
  std::size_t unchanged_ = 0;
  std::size_t errors_ = 0;
  std::string stopped_code_;  ///< empty: to the end
  std::string stopped_detail_;
  bool is_gone_ = false;
};

void Import::stop(std::string_view code, std::string_view detail) {
  stopped_code_ = code;
  stopped_detail_ = detail;
}

void Import::report_error(const ImportLine& line, std::string_view code, std::string_view detail,
                          std::string_view pointer) {
  if (++errors_ > import_errors_max) {
    return;
  }
  boost::json::object object;
  object["line"] = line.number;
  object["id"] = auth::is_valid_device_id(line.row.id) ? boost::json::value(line.row.id) : nullptr;
  object["result"] = "error";
  object["code"] = code;
  object["detail"] = detail;
  if (!pointer.empty()) {
    object["pointer"] = pointer;
  }
  results_ += boost::json::serialize(object) + "\n";
}

void Import::report(const ImportLine& line, const ImportResult& result) {
  std::string_view name;
  switch (result.kind) {
    case ImportResult::Kind::failed:
      report_error(line, code_of(result.failure.code), result.failure.what, result.failure.field);
      return;
    case ImportResult::Kind::created:
      ++created_;
      name = "created";
      break;
    case ImportResult::Kind::updated:
      ++updated_;
      name = "updated";
      break;
    case ImportResult::Kind::unchanged:
      ++unchanged_;
      name = "unchanged";
      break;
  }
  // By hand: an id needs no escapes, and there are many of these.
  results_ +=
      R"({"line":)" + std::to_string(line.number) + R"(,"id":")" + line.row.id + R"(","result":")";
  results_.append(name).append("\"}\n");
}

/// Imports what waits, as one commit, and reports it in the order of the lines.
awaitable<void> Import::apply() {
  std::vector<auth::ImportRow> rows;
  for (const ImportLine& line : waiting_) {
    if (!line.fault) {
      rows.push_back(line.row);
    }
  }
  std::vector<ImportResult> results;
  const WallTime now = services_->clock().wall;
  if (wish_.dry_run) {
    results = services_->registry.import_dry_run(rows, wish_.conflict, now, overlay_);
  } else {
    auto start = [&registry = services_->registry, rows = std::move(rows),
                  conflict = wish_.conflict, change = change_of(request_, now)](auto done) {
      registry.import(rows, conflict, change, done);
    };
    results = co_await http::await_callback<std::vector<ImportResult>>(std::move(start));
  }
  auto result = results.begin();
  for (const ImportLine& line : waiting_) {
    if (line.fault) {
      report_error(line, line.fault->code, line.fault->detail, line.fault->pointer);
      continue;
    }
    const bool is_lost = result->kind == ImportResult::Kind::failed &&
                         result->failure.code == auth::RegistryError::storage;
    report(line, *result++);
    if (is_lost) {
      stop("storage_unavailable", "the devices of this batch could not be stored");
    }
  }
  waiting_.clear();
}

awaitable<void> Import::read_all() {
  const auto visit = [this](ImportLine line) { waiting_.push_back(std::move(line)); };
  bool more = true;
  while (more && stopped_code_.empty()) {
    const std::optional<std::string> bytes = co_await request_.body_stream->read();
    more = bytes.has_value();
    // In pieces, so that what waits is bounded by the batch and not by how short lines can be.
    std::string_view rest = bytes ? std::string_view{*bytes} : std::string_view{};
    do {
      const std::string_view piece = rest.substr(0, 4096);
      rest.remove_prefix(piece.size());
      more ? parser_.feed(piece, visit) : parser_.finish(visit);
      if (parser_.lines() > import_lines_max) {
        stop("too_many_lines", "an import has at most " + std::to_string(import_lines_max) +
                                   " lines; go on in another one");
      } else if (parser_.is_hopeless()) {
        stop("header_unusable", "without a good header no line can be understood");
      }
      const bool is_due = waiting_.size() >= import_batch_devices || !more;
      if ((is_due || !stopped_code_.empty()) && !waiting_.empty()) {
        co_await apply();
      }
    } while (!rest.empty() && stopped_code_.empty());
  }
}

std::string Import::summary() const {
  boost::json::object object;
  object["summary"] = true;
  object["dryRun"] = wish_.dry_run;
  object["lines"] = parser_.lines();
  object["created"] = created_;
  object["updated"] = updated_;
  object["unchanged"] = unchanged_;
  object["errors"] = errors_;
  object["errorsReported"] = std::min(errors_, import_errors_max);
  object["complete"] = stopped_code_.empty();
  if (!stopped_code_.empty()) {
    object["code"] = stopped_code_;
    object["detail"] = stopped_detail_;
  }
  return boost::json::serialize(object) + "\n";
}

awaitable<void> Import::run(http::BodyWriter& writer) {
  try {
    co_await read_all();
  } catch (const http::BodyError& error) {
    // What was stored is stored, so it is told.
    is_gone_ = error.reason() == http::BodyError::Reason::gone;
    stop(error.reason() == http::BodyError::Reason::too_large ? "body_too_large" : "malformed_body",
         error.what());
  }
  services_->log("admin: " + request_.principal + (wish_.dry_run ? " tried" : " ran") +
                 " an import: " + std::to_string(created_) + " created, " +
                 std::to_string(updated_) + " updated, " + std::to_string(errors_) + " errors");
  if (is_gone_) {
    co_return;
  }
  results_ += summary();
  bool alive = true;
  for (std::size_t at = 0; at < results_.size() && alive; at += chunk_bytes) {
    alive = co_await writer.write(std::string_view{results_}.substr(at, chunk_bytes));
  }
}

awaitable<Response> import_devices(Services services, const http::Request& request) {
  const auto wish = read_wish(request);
  if (!wish) {
    co_return wish.error();
  }
  Response response;
  response.content_type = "application/x-ndjson";
  const auto import = std::make_shared<Import>(services, request, *wish);
  response.stream = [import](http::BodyWriter& writer) { return import->run(writer); };
  co_return response;
}

/// One export. It reads the registry page by page, so a device that changes meanwhile is written as
/// it is when its page comes.
class Export {
 public:
  Export(Services services, bool is_csv, std::optional<auth::DeviceState> state)
      : services_(std::move(services)), is_csv_(is_csv), state_(state) {}

  /// False: there are more attributes than a CSV file can have columns.
  bool collect_columns();
  awaitable<void> run(http::BodyWriter& writer);

 private:
  Services services_;
  const bool is_csv_;
  const std::optional<auth::DeviceState> state_;
  std::set<std::string, std::less<>> attributes_;
};

bool Export::collect_columns() {
  std::string after;
  for (bool more = is_csv_; more;) {
    const auth::DevicePage page = services_->registry.list(after, export_page_devices, state_);
    for (const auth::DevicePointer& device : page.devices) {
      for (const auto& [name, value] : device->attributes) {
        attributes_.insert(name);
      }
    }
    if (attributes_.size() > export_columns_max) {
      return false;
    }
    more = page.more;
    after = page.last;
  }
  return true;
}

awaitable<void> Export::run(http::BodyWriter& writer) {
  std::string chunk;
  if (is_csv_) {
    append_csv_header(chunk, attributes_);
  }
  std::string after;
  bool more = true;
  while (more) {
    const auth::DevicePage page = services_->registry.list(after, export_page_devices, state_);
    for (const auth::DevicePointer& device : page.devices) {
      if (device->state == auth::DeviceState::pending) {
        continue;
      }
      if (is_csv_) {
        append_csv(chunk, *device, attributes_);
      } else {
        append_ndjson(chunk, *device);
      }
    }
    const bool alive = co_await writer.write(chunk);
    chunk.clear();
    more = page.more && alive;
    after = page.last;
  }
}

awaitable<Response> export_devices(Services services, const http::Request& request) {
  std::optional<auth::DeviceState> state;
  for (const auto& [name, value] : request.query) {
    state = name == "state" ? auth::state_of(value) : std::nullopt;
    if (!state || state == auth::DeviceState::pending) {
      co_return http::problem(400, "invalid_parameter",
                              "only \"state\" is known here: preauthorised, enrolled, suspended "
                              "or retired",
                              "/query/" + name.substr(0, 64));
    }
  }
  const std::string accept = media_type(request.header("accept"));
  const bool is_csv = accept == "text/csv";
  if (!is_csv && !accept.empty() && accept != "*/*" && accept != "application/*" &&
      accept != "application/x-ndjson") {
    co_return http::problem(406, "not_acceptable", "an export is application/x-ndjson or text/csv");
  }
  const auto run = std::make_shared<Export>(services, is_csv, state);
  // A walk over all devices, which is too long for the loop.
  const auto collect = [run] { return run->collect_columns() ? 1 : 0; };
  const auto busy = [] { return -1; };
  int collected = 1;
  if (is_csv) {
    collected = co_await http::run_blocking<int>(services->readers, collect, busy);
  }
  if (collected < 0) {
    Response response = http::problem(503, "server_busy", "too many questions at once");
    response.headers.emplace_back("Retry-After", "1");
    co_return response;
  }
  if (collected == 0) {
    co_return http::problem(409, "too_many_columns",
                            "the devices have more attributes than a CSV file may have columns (" +
                                std::to_string(export_columns_max) +
                                "); ask for application/x-ndjson");
  }
  Response response;
  response.content_type = is_csv ? "text/csv; charset=utf-8" : "application/x-ndjson";
  response.headers.emplace_back(
      "Content-Disposition",
      is_csv ? "attachment; filename=\"devices.csv\"" : "attachment; filename=\"devices.ndjson\"");
  response.stream = [run](http::BodyWriter& writer) { return run->run(writer); };
  co_return response;
}

}  // namespace

http::EndpointTable device_import_endpoints(const Services& services) {
  http::Endpoint upload;
  upload.method = "POST";
  upload.route = "/api/v1/devices:import";
  upload.body_bytes_max = import_bytes_max;
  upload.streams_body = true;
  upload.handler = [services](const http::Request& request) {
    return import_devices(services, request);
  };
  http::Endpoint export_all;
  export_all.method = "GET";
  export_all.route = "/api/v1/devices:export";
  export_all.body_bytes_max = 0;
  export_all.handler = [services](const http::Request& request) {
    return export_devices(services, request);
  };
  return {std::move(upload), std::move(export_all)};
}

}  // namespace skerry::admin_api
