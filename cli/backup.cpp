// backup create, list, show, delete over REST; verify and restore on this machine's disk, where no
// server runs.
#include <chrono>
#include <ostream>
#include <thread>

#include "backup/restore.hpp"
#include "backup/verify.hpp"
#include "cli/api.hpp"
#include "cli/command_line.hpp"
#include "cli/failure.hpp"
#include "cli/list.hpp"
#include "cli/output.hpp"

namespace skerry::cli {
namespace {

constexpr std::chrono::milliseconds look_interval{250};

struct CreateOptions {
  std::string name;
  bool no_wait = false;
};

struct NameOptions {
  std::string name;
};

struct DirectoryOptions {
  std::string directory;
  std::string data_dir;
};

struct NoOptions {};

const std::vector<Column> columns{{"NAME", "name"},         {"STATE", "state"},
                                  {"CREATED", "createdAt"}, {"BYTES", "bytes"},
                                  {"WRITE", "sequence"},    {"VERSION", "serverVersion"}};

std::string target_of(const std::string& name) {
  return "/api/v1/backups/" + percent_encode(name);
}

void show_one(Session& session, const boost::json::value& backup) {
  boost::json::object plain = backup.as_object();
  std::vector<Row> rows;
  if (const boost::json::value* families = plain.if_contains("families")) {
    for (const boost::json::value& family : families->as_array()) {
      rows.push_back({cell(member_at(family.as_object(), "name")),
                      cell(member_at(family.as_object(), "records")) + " records, " +
                          cell(member_at(family.as_object(), "sha256"))});
    }
    plain.erase("families");
  }
  std::vector<Row> all = rows_of(plain);
  all.insert(all.end(), rows.begin(), rows.end());
  print_object(session, backup, all);
}

void backup_create(Session& session, const CreateOptions& options) {
  const Api api{session.settings};
  boost::json::value wish = boost::json::object{};
  if (!options.name.empty()) {
    wish.as_object()["name"] = options.name;
  }
  boost::json::value backup = api.call("POST", "/api/v1/backups", &wish);
  const std::string name = cell(member_at(backup.as_object(), "name"));
  const auto state = [&backup] { return cell(member_at(backup.as_object(), "state")); };
  while (!options.no_wait && state() == "running") {
    std::this_thread::sleep_for(look_interval);
    backup = api.call("GET", target_of(name));
  }
  if (state() == "failed" || state() == "damaged") {
    throw Failure("the backup " + name +
                  " was not made: " + cell(member_at(backup.as_object(), "error.detail")));
  }
  if (session.quiet) {
    session.out << name << '\n';
    return;
  }
  show_one(session, backup);
}

void backup_list(Session& session, const NoOptions&) {
  print_list(session, {"/api/v1/backups?limit=500", columns, "name"});
}

void backup_show(Session& session, const NameOptions& options) {
  show_one(session, Api{session.settings}.call("GET", target_of(options.name)));
}

void backup_delete(Session& session, const NameOptions& options) {
  Api{session.settings}.call("DELETE", target_of(options.name));
  print_done(session, "The backup " + options.name + " is gone.");
}

int exit_code_of(backup::Code code) noexcept {
  switch (code) {
    case backup::Code::not_found:
      return exit_not_found;
    case backup::Code::not_empty:
    case backup::Code::exists:
    case backup::Code::running:
      return exit_conflict;
    case backup::Code::ok:
    case backup::Code::damaged:
    case backup::Code::newer:
    case backup::Code::full:
    case backup::Code::io_error:
    case backup::Code::stopped:
      break;
  }
  return exit_failure;
}

/// The manifest as `show` has it, for whoever compares.
boost::json::object json_of(const backup::Manifest& manifest) {
  boost::json::array families;
  for (const backup::FamilyEntry& family : manifest.families) {
    families.push_back({{"name", family.name},
                        {"records", family.records},
                        {"bytes", family.bytes},
                        {"sha256", family.sha256}});
  }
  return {{"name", manifest.name},
          {"serverVersion", manifest.server_version},
          {"storeFormat", manifest.store_format},
          {"sequence", manifest.sequence},
          {"files", manifest.files.size()},
          {"bytes", manifest.bytes()},
          {"families", std::move(families)}};
}

backup::Attention attention_of(Progress& progress, std::uint64_t& done) {
  backup::Attention attention;
  attention.progress = [&progress, &done](std::uint64_t bytes) {
    done += bytes;
    progress.update(done);
  };
  return attention;
}

void backup_verify(Session& session, const DirectoryOptions& options) {
  backup::Verified verified;
  {
    Progress progress(session, "Verifying", "bytes");
    std::uint64_t done = 0;
    verified = backup::verify(options.directory, attention_of(progress, done));
  }
  if (!verified.outcome.ok()) {
    std::string sentence;
    for (const std::string& problem : verified.problems) {
      sentence += (sentence.empty() ? "" : "\n  ") + visible(problem);
    }
    throw Failure(options.directory + " is not sound:\n  " + sentence,
                  exit_code_of(verified.outcome.code));
  }
  show_one(session, json_of(verified.manifest));
}

void backup_restore(Session& session, const DirectoryOptions& options) {
  backup::Manifest restored;
  backup::Outcome outcome;
  {
    Progress progress(session, "Restoring", "bytes read");
    std::uint64_t done = 0;
    outcome = backup::restore(options.directory, options.data_dir, attention_of(progress, done),
                              restored);
  }
  if (!outcome.ok()) {
    throw Failure(visible(outcome.detail), exit_code_of(outcome.code));
  }
  print_done(session, "The backup " + restored.name + " is in " + options.data_dir +
                          ": equal to its manifest, file by file and record by record.");
}

}  // namespace

void add_backup_commands(CommandLine& line) {
  CLI::App& group = line.group("backup", "Copies of a server, and a server from a copy");
  const auto create = std::make_shared<CreateOptions>();
  CLI::App& create_words = line.add(group, "create", "Have the server make one, while it goes on",
                                    create, &backup_create);
  create_words.add_option("name", create->name, "Its name; without it, the time");
  create_words.add_flag("--no-wait", create->no_wait, "Do not wait until it is complete");

  line.add(group, "list", "List the backups on the server's disk", std::make_shared<NoOptions>(),
           &backup_list);

  const auto show = std::make_shared<NameOptions>();
  line.add(group, "show", "Show one, with a checksum of what each family holds", show, &backup_show)
      .add_option("name", show->name, "Name of the backup")
      ->required();

  const auto erase = std::make_shared<NameOptions>();
  line.add(group, "delete", "Remove one from the server's disk", erase, &backup_delete)
      .add_option("name", erase->name, "Name of the backup")
      ->required();

  const auto verify = std::make_shared<DirectoryOptions>();
  line.add(group, "verify", "Hold a backup on this machine against its manifest; needs no server",
           verify, &backup_verify)
      .add_option("directory", verify->directory, "The backup")
      ->required();

  const auto restore = std::make_shared<DirectoryOptions>();
  CLI::App& restore_words = line.add(
      group, "restore", "Make a data directory from a backup on this machine; needs no server",
      restore, &backup_restore);
  restore_words.add_option("directory", restore->directory, "The backup")->required();
  restore_words
      .add_option("--data-dir", restore->data_dir, "Where to: an empty directory, or none yet")
      ->required();
}

}  // namespace skerry::cli
