// devices import, export: files of many devices, streamed both ways.
#include <unistd.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <istream>
#include <memory>
#include <ostream>

#include "cli/device_words.hpp"
#include "cli/failure.hpp"
#include "cli/list.hpp"

namespace skerry::cli {
namespace {

constexpr std::size_t part_bytes = 64 * 1024;
constexpr std::size_t line_bytes_max = 1024 * 1024;
/// The server answers when it has read and stored the last line.
constexpr std::chrono::seconds patience{300};

struct ImportOptions {
  std::string path;
  std::string format;
  bool dry_run = false;
  std::string on_conflict;
};

/// "csv" or "ndjson": as said, or by the end of the file's name.
std::string format_of(const std::string& said, const std::string& path) {
  if (!said.empty()) {
    return said;
  }
  if (path.ends_with(".csv")) {
    return "csv";
  }
  if (path.ends_with(".ndjson") || path.ends_with(".jsonl")) {
    return "ndjson";
  }
  throw Failure("say what the file is: --format ndjson or --format csv", exit_usage);
}

const char* media_type(const std::string& format) {
  return format == "csv" ? "text/csv" : "application/x-ndjson";
}

/// A file, or standard input for "-".
class Input {
 public:
  Input(Session& session, const std::string& path) : stream_(&session.in) {
    if (path == "-") {
      return;
    }
    file_.open(path, std::ios::binary);
    if (!file_) {
      throw Failure("cannot read " + path + ": " + std::strerror(errno));
    }
    stream_ = &file_;
    for (std::string part = read(); !part.empty(); part = read()) {
      lines_ += static_cast<std::uint64_t>(std::count(part.begin(), part.end(), '\n'));
    }
    file_.clear();
    file_.seekg(0);
  }

  std::string read() {
    std::string part(part_bytes, '\0');
    stream_->read(part.data(), static_cast<std::streamsize>(part.size()));
    part.resize(static_cast<std::size_t>(stream_->gcount()));
    return part;
  }

  /// 0: not known.
  std::uint64_t lines() const noexcept { return lines_; }

 private:
  std::istream* stream_;
  std::ifstream file_;
  std::uint64_t lines_ = 0;
};

/// Takes the answer apart into lines: results of single devices, and the summary at the end.
class Results {
 public:
  explicit Results(Session& session) : session_(session) {}

  bool take(std::string_view part) {
    pending_.append(part);
    std::size_t begin = 0;
    for (std::size_t end = pending_.find('\n'); end != std::string::npos;
         end = pending_.find('\n', begin)) {
      line(std::string_view{pending_}.substr(begin, end - begin));
      begin = end + 1;
    }
    pending_.erase(0, begin);
    if (pending_.size() > line_bytes_max) {
      throw Failure("the server answered a line that does not end");
    }
    return true;
  }

  const boost::json::object& summary() const { return summary_; }

 private:
  void line(std::string_view text);

  Session& session_;
  std::string pending_;
  boost::json::object summary_;
};

void Results::line(std::string_view text) {
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(text, error);
  if (error || !value.is_object()) {
    throw Failure("the server answered what is no JSON");
  }
  const boost::json::object& result = value.get_object();
  if (session_.output == Output::json) {
    session_.out << json_text(value) << '\n';
  }
  if (result.contains("summary")) {
    summary_ = result;
    return;
  }
  if (cell(result.if_contains("result")) != "error" || session_.output == Output::json) {
    return;
  }
  std::string sentence = "line " + cell(result.if_contains("line"));
  if (const std::string id = cell(result.if_contains("id")); id != "-") {
    sentence += ", " + id;
  }
  sentence += ": " + cell(result.if_contains("detail")) + " (" + cell(result.if_contains("code"));
  if (const std::string pointer = cell(result.if_contains("pointer")); pointer != "-") {
    sentence += " at " + pointer;
  }
  session_.err << visible(sentence + ")") << '\n';
}

std::uint64_t number_at(const boost::json::object& object, const char* name) {
  const boost::json::value* value = object.if_contains(name);
  boost::system::error_code error;
  const auto number = value == nullptr ? 0 : value->to_number<std::uint64_t>(error);
  return error ? 0 : number;
}

void print_summary(Session& session, const boost::json::object& summary) {
  if (session.output != Output::table) {
    if (session.output != Output::json) {
      print_object(session, summary, rows_of(summary));
    }
    return;
  }
  const bool dry = summary.contains("dryRun") && summary.at("dryRun").is_bool() &&
                   summary.at("dryRun").get_bool();
  print_done(session, std::string{dry ? "Tried " : "Imported "} +
                          cell(summary.if_contains("lines")) +
                          " lines: " + cell(summary.if_contains("created")) + " created, " +
                          cell(summary.if_contains("updated")) + " updated, " +
                          cell(summary.if_contains("unchanged")) + " unchanged, " +
                          cell(summary.if_contains("errors")) + " with errors" +
                          (dry ? "; nothing was changed" : ""));
}

void import(Session& session, const ImportOptions& options) {
  const std::string format = format_of(options.format, options.path);
  Input input{session, options.path};
  Results results{session};
  HttpsRequest request;
  request.method = "POST";
  request.target =
      with_parameter("/api/v1/devices:import", "dryRun", options.dry_run ? "true" : "");
  request.target = with_parameter(request.target, "onConflict", options.on_conflict);
  request.headers["Content-Type"] = media_type(format);
  request.patience = patience;
  {
    Progress progress{session, options.dry_run ? "Trying" : "Importing", "lines", input.lines()};
    std::uint64_t lines = 0;
    request.source = [&]() -> std::optional<std::string> {
      std::string part = input.read();
      lines += static_cast<std::uint64_t>(std::count(part.begin(), part.end(), '\n'));
      progress.update(lines);
      return part.empty() ? std::nullopt : std::optional{std::move(part)};
    };
    request.sink = [&](std::string_view part) { return results.take(part); };
    Api{session.settings}.exchange(std::move(request));
  }
  const boost::json::object& summary = results.summary();
  if (summary.empty()) {
    throw Failure("the server's answer broke off; some lines may have been imported");
  }
  print_summary(session, summary);
  const boost::json::value* complete = summary.if_contains("complete");
  if (complete != nullptr && complete->is_bool() && !complete->get_bool()) {
    throw Failure("the import stopped before the end of the file (" +
                  cell(summary.if_contains("code")) + ")");
  }
  if (number_at(summary, "errors") > 0) {
    throw Failure("not all lines could be imported");
  }
}

struct ExportOptions {
  std::string path;
  std::string format;
  std::string state;
};

/// What is written appears under its name only when it is whole.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path) : path_(path), partial_(path + ".part") {
    file_.open(partial_, std::ios::binary | std::ios::trunc);
    if (!file_) {
      throw Failure("cannot write " + partial_ + ": " + std::strerror(errno));
    }
  }
  ~OutputFile() {
    if (!done_) {
      file_.close();
      unlink(partial_.c_str());
    }
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view part) {
    file_.write(part.data(), static_cast<std::streamsize>(part.size()));
  }
  void finish() {
    file_.close();
    if (!file_ || std::rename(partial_.c_str(), path_.c_str()) != 0) {
      throw Failure("cannot write " + path_ + ": " + std::strerror(errno));
    }
    done_ = true;
  }

 private:
  const std::string path_;
  const std::string partial_;
  std::ofstream file_;
  bool done_ = false;
};

void export_devices(Session& session, const ExportOptions& options) {
  const bool to_file = !options.path.empty() && options.path != "-";
  const std::string format =
      options.format.empty() && !to_file ? "ndjson" : format_of(options.format, options.path);
  std::optional<OutputFile> file;
  if (to_file) {
    file.emplace(options.path);
  }
  HttpsRequest request;
  request.target = with_parameter("/api/v1/devices:export", "state", options.state);
  request.headers["Accept"] = media_type(format);
  std::uint64_t lines = 0;
  {
    Progress progress{session, "Exporting", "lines"};
    request.sink = [&](std::string_view part) {
      lines += static_cast<std::uint64_t>(std::count(part.begin(), part.end(), '\n'));
      progress.update(lines);
      if (file) {
        file->write(part);
      } else {
        session.out.write(part.data(), static_cast<std::streamsize>(part.size()));
      }
      return session.out.good();
    };
    Api{session.settings}.exchange(std::move(request));
  }
  if (file) {
    file->finish();
    const std::uint64_t heads = format == "csv" && lines > 0 ? 1 : 0;
    print_done(session,
               "Exported " + std::to_string(lines - heads) + " devices to " + options.path);
  }
}

}  // namespace

void add_transfer_commands(CommandLine& line) {
  CLI::App& devices = line.group("devices", "The registry of devices");
  const auto in = std::make_shared<ImportOptions>();
  CLI::App& import_words =
      line.add(devices, "import", "Register or change many devices by a file", in, &import);
  import_words.add_option("file", in->path, "NDJSON or CSV; - for standard input")->required();
  import_words.add_option("--format", in->format, "ndjson or csv; default: by the file's name")
      ->check(CLI::IsMember({"ndjson", "csv"}));
  import_words.add_flag("--dry-run", in->dry_run, "Tell what would happen and change nothing");
  import_words
      .add_option("--on-conflict", in->on_conflict, "For registered devices: fail, skip or update")
      ->check(CLI::IsMember({"fail", "skip", "update"}));
  const auto out = std::make_shared<ExportOptions>();
  CLI::App& export_words = line.add(
      devices, "export", "Write all devices as a file that import takes", out, &export_devices);
  export_words.add_option("file", out->path, "Where to; default: standard output");
  export_words.add_option("--format", out->format, "ndjson or csv; default: by the file's name")
      ->check(CLI::IsMember({"ndjson", "csv"}));
  export_words.add_option("--state", out->state, "Only devices in this state")
      ->check(CLI::IsMember({"preauthorised", "enrolled", "suspended", "retired"}));
}

}  // namespace skerry::cli
