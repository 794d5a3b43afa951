#include "admin-api/backup_endpoints.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>

#include "admin-api/audited.hpp"
#include "admin-api/rest.hpp"
#include "http/await.hpp"
#include "http/json_body.hpp"

namespace skerry::admin_api {
namespace {

using backup::Code;
using backup::Info;
using backup::Outcome;
using backup::State;
using boost::asio::awaitable;

constexpr std::size_t body_bytes_max = 4 * 1024;
constexpr std::string_view cursor_kind = "backups";

std::string_view text_of(State state) noexcept {
  switch (state) {
    case State::running:
      return "running";
    case State::complete:
      return "complete";
    case State::failed:
      return "failed";
    case State::damaged:
      return "damaged";
  }
  return "damaged";
}

boost::json::value error_of(const Outcome& outcome) {
  if (outcome.ok()) {
    return nullptr;
  }
  return {{"code", backup::name_of(outcome.code)}, {"detail", outcome.detail}};
}

/// Without the list of files, which may be long: it stands in the manifest.
boost::json::object json_of(const Info& info, const std::string& directory) {
  const backup::Manifest& manifest = info.manifest;
  boost::json::object object;
  object["name"] = manifest.name;
  object["state"] = text_of(info.state);
  object["directory"] = directory + "/" + manifest.name;
  object["error"] = error_of(info.outcome);
  if (info.state != State::damaged) {
    object["createdAt"] = format_time(manifest.created);
    object["serverVersion"] = manifest.server_version;
  }
  if (info.state == State::complete) {
    object["storeFormat"] = manifest.store_format;
    object["sequence"] = manifest.sequence;
    object["files"] = manifest.files.size();
    object["bytes"] = manifest.bytes();
    boost::json::array families;
    for (const backup::FamilyEntry& family : manifest.families) {
      families.push_back({{"name", family.name},
                          {"records", family.records},
                          {"bytes", family.bytes},
                          {"sha256", family.sha256}});
    }
    object["families"] = std::move(families);
  }
  return object;
}

http::Response problem_of(const Outcome& outcome) {
  const std::string code{backup::name_of(outcome.code)};
  switch (outcome.code) {
    case Code::not_found:
      return http::problem(404, code, outcome.detail);
    case Code::exists:
      return http::problem(409, code, outcome.detail, "/name");
    case Code::running:
      return http::problem(409, code, outcome.detail);
    case Code::full:
      return http::problem(507, code, outcome.detail);
    case Code::ok:
    case Code::damaged:
    case Code::newer:
    case Code::not_empty:
    case Code::io_error:
    case Code::stopped:
      break;
  }
  return http::problem(503, code, outcome.detail);
}

http::Response no_such_backup() {
  return http::problem(404, backup::name_of(Code::not_found), "there is no backup of this name");
}

/// The wished name, empty without one; or the problem.
Result<std::string, http::Response> read_name(const http::Request& request) {
  auto body = http::parse_json_object(request);
  if (!body) {
    return std::move(body).error();
  }
  if (auto refused = http::refuse_unknown_fields(*body, {"name"})) {
    return *std::move(refused);
  }
  if (!body->contains("name")) {
    return std::string{};
  }
  auto name = http::string_field(*body, "name");
  if (!name) {
    return std::move(name).error();
  }
  if (!backup::is_backup_name(*name)) {
    return http::problem(422, "field_invalid",
                         "\"name\" must have 1 to 64 letters, digits, '.', '-' and '_' and begin "
                         "with a letter or digit",
                         "/name");
  }
  return *std::move(name);
}

/// What the file system is asked on a reader, and what is said when no reader is free.
struct Answered {
  Outcome outcome;
  std::vector<Info> found;
  bool busy = false;
};

http::Response busy_response() {
  http::Response response = http::problem(503, "busy", "the server is busy; try again");
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

class BackupHandlers {
 public:
  explicit BackupHandlers(const BackupServices& services) : services_(services) {}

  awaitable<http::Response> create(const http::Request& request);
  awaitable<http::Response> list(const http::Request& request);
  awaitable<http::Response> show(const http::Request& request);
  awaitable<http::Response> erase(const http::Request& request);

 private:
  void note(const http::Request& request, const char* action, const std::string& name,
            const Outcome& outcome) {
    const auth::Actor actor = actor_of(request);
    services_.audit.submit(
        {},
        {actor.name, action, "backup:" + name, std::string{backup::name_of(outcome.code)},
         outcome.detail, actor.address},
        [](const storage::Status&) {});
  }

  BackupServices services_;
};

awaitable<http::Response> BackupHandlers::create(const http::Request& request) {
  auto name = read_name(request);
  if (!name) {
    co_return std::move(name).error();
  }
  auto work = [&backups = services_.backups, wished = *name] {
    Answered answered;
    answered.outcome = backups.start(wished, answered.found.emplace_back());
    return answered;
  };
  const auto busy = [] { return Answered{{}, {}, true}; };
  const auto answered = co_await http::run_blocking<Answered>(services_.readers, work, busy);
  if (answered.busy) {
    co_return busy_response();
  }
  if (!answered.outcome.ok()) {
    co_return problem_of(answered.outcome);
  }
  const Info& info = answered.found.front();
  note(request, "backup.create", info.manifest.name, answered.outcome);
  http::Response response = http::json_response(json_of(info, services_.backups.directory()), 202);
  response.headers.emplace_back("Location", "/api/v1/backups/" + info.manifest.name);
  co_return response;
}

awaitable<http::Response> BackupHandlers::list(const http::Request& request) {
  const auto page = read_page(request, cursor_kind);
  if (!page) {
    co_return page.error();
  }
  auto work = [&backups = services_.backups] { return Answered{{}, backups.list(), false}; };
  const auto busy = [] { return Answered{{}, {}, true}; };
  auto answered = co_await http::run_blocking<Answered>(services_.readers, work, busy);
  if (answered.busy) {
    co_return busy_response();
  }
  std::vector<Info>& all = answered.found;
  std::erase_if(all, [&](const Info& info) { return info.manifest.name <= page->after; });
  std::optional<std::string> next;
  if (all.size() > page->limit) {
    all.resize(page->limit);
    next = encode_cursor(cursor_kind, all.back().manifest.name);
  }
  boost::json::array items;
  for (const Info& info : all) {
    items.push_back(json_of(info, services_.backups.directory()));
  }
  co_return page_response(request, std::move(items), next);
}

awaitable<http::Response> BackupHandlers::show(const http::Request& request) {
  auto work = [&backups = services_.backups, name = request.parameters.at("name")] {
    Answered answered;
    if (auto found = backups.find(name)) {
      answered.found.push_back(*std::move(found));
    }
    return answered;
  };
  const auto busy = [] { return Answered{{}, {}, true}; };
  const auto answered = co_await http::run_blocking<Answered>(services_.readers, work, busy);
  if (answered.busy) {
    co_return busy_response();
  }
  if (answered.found.empty()) {
    co_return no_such_backup();
  }
  co_return http::json_response(json_of(answered.found.front(), services_.backups.directory()));
}

awaitable<http::Response> BackupHandlers::erase(const http::Request& request) {
  const std::string name = request.parameters.at("name");
  auto work = [&backups = services_.backups, name] {
    return Answered{backups.erase(name), {}, false};
  };
  const auto busy = [] { return Answered{{}, {}, true}; };
  const auto answered = co_await http::run_blocking<Answered>(services_.readers, work, busy);
  if (answered.busy) {
    co_return busy_response();
  }
  if (answered.outcome.code == Code::not_found) {
    co_return no_such_backup();
  }
  if (!answered.outcome.ok()) {
    co_return problem_of(answered.outcome);
  }
  note(request, "backup.delete", name, answered.outcome);
  co_return http::no_content();
}

}  // namespace

http::EndpointTable backup_endpoints(const BackupServices& services) {
  const auto handlers = std::make_shared<BackupHandlers>(services);
  return {
      {"POST", "/api/v1/backups", http::Guard::token, body_bytes_max,
       [handlers](const http::Request& request) { return handlers->create(request); }},
      {"GET", "/api/v1/backups", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->list(request); }},
      {"GET", "/api/v1/backups/{name}", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->show(request); }},
      {"DELETE", "/api/v1/backups/{name}", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->erase(request); }},
  };
}

}  // namespace skerry::admin_api
