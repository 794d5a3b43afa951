// /api/v1/audit: pages of the chain, the whole of it as a stream, and its verification.
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <memory>

#include "admin-api/access.hpp"
#include "admin-api/rest.hpp"
#include "auth/audit_reader.hpp"
#include "base/csv_cell.hpp"
#include "crypto/hash.hpp"
#include "http/await.hpp"
#include "twin/time_text.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;
using Shared = std::shared_ptr<AccessServices>;

constexpr std::string_view cursor_kind = "audit";
constexpr std::size_t stream_slice = 1000;
constexpr std::size_t verify_slice = 2000;

enum class Format : std::uint8_t { json, ndjson, csv };

boost::json::object json_of(const auth::StoredAudit& stored) {
  const auth::AuditRecord& record = stored.record;
  boost::json::object object;
  object["sequence"] = record.sequence;
  object["time"] = format_time(record.time);
  object["actor"] = record.event.actor;
  object["action"] = record.event.action;
  object["object"] = record.event.object;
  object["outcome"] = record.event.outcome;
  object["detail"] = record.event.detail;
  object["address"] = record.event.address;
  object["hash"] = crypto::to_hex(stored.hash);
  return object;
}

std::string csv_of(const auth::StoredAudit& stored) {
  const plugin::AuditEvent& event = stored.record.event;
  std::string line = std::to_string(stored.record.sequence) + "," + format_time(stored.record.time);
  for (const std::string* text : {&event.actor, &event.action, &event.object, &event.outcome,
                                  &event.detail, &event.address}) {
    line += ',';
    append_csv_cell(line, *text);
  }
  return line + "," + crypto::to_hex(stored.hash) + "\r\n";
}

struct Asked {
  auth::AuditFilter filter;
  bool newest_first = true;
  Format format = Format::json;
};

http::Response invalid(std::string_view name, std::string_view sentence) {
  return http::problem(400, "invalid_parameter", sentence, "/query/" + std::string{name});
}

std::optional<http::Response> read_times(const http::Request& request, WallTime now,
                                         auth::AuditFilter& filter) {
  for (const auto& [name, target] : {std::pair{"from", &filter.from}, {"to", &filter.to}}) {
    const auto found = request.query.find(name);
    if (found == request.query.end()) {
      continue;
    }
    const auto instant = twin::parse_instant(found->second, now);
    if (!instant) {
      return invalid(name,
                     std::string{name} +
                         " must be a time in RFC 3339, epoch milliseconds, or one such as -1h");
    }
    *target = wall_from_epoch(*instant);
  }
  return std::nullopt;
}

Result<Asked, http::Response> read_question(const http::Request& request, WallTime now) {
  Asked asked;
  if (auto refused = read_times(request, now, asked.filter)) {
    return *std::move(refused);
  }
  const auto text = [&](std::string_view name) {
    const auto found = request.query.find(name);
    return found == request.query.end() ? std::string{} : found->second;
  };
  asked.filter.actor = text("actor");
  asked.filter.action = text("action");
  asked.filter.object = text("object");
  const std::string order = text("order");
  if (!order.empty() && order != "asc" && order != "desc") {
    return invalid("order", "order must be asc or desc");
  }
  asked.newest_first = order != "asc";
  std::string format = text("format");
  const std::string_view accept = request.header("accept");
  if (format.empty()) {
    format = accept == "application/x-ndjson" ? "ndjson" : accept == "text/csv" ? "csv" : "json";
  }
  if (format != "json" && format != "ndjson" && format != "csv") {
    return invalid("format", "format must be json, ndjson or csv");
  }
  asked.format = format == "csv" ? Format::csv : format == "ndjson" ? Format::ndjson : Format::json;
  return asked;
}

awaitable<auth::AuditPage> read(Shared services, Asked asked, std::optional<std::uint64_t> start,
                                std::size_t limit) {
  auto work = [services, asked, start, limit] {
    return auth::read_audit_page(services->store, asked.filter, start, asked.newest_first, limit);
  };
  const auto busy = [] {
    auth::AuditPage page;
    page.status = {storage::StatusCode::closed, "the readers are busy"};
    return page;
  };
  co_return co_await http::run_blocking<auth::AuditPage>(services->readers, work, busy);
}

/// Everything that fits, slice by slice. A store that fails cuts the answer off.
awaitable<void> stream(Shared services, Asked asked, http::BodyWriter& writer) {
  std::optional<std::uint64_t> start;
  std::string head = asked.format == Format::csv
                         ? "sequence,time,actor,action,object,outcome,detail,address,hash\r\n"
                         : "";
  bool goes_on = co_await writer.write(head);
  while (goes_on) {
    const auth::AuditPage page = co_await read(services, asked, start, stream_slice);
    if (!page.status.ok()) {
      throw std::runtime_error(page.status.detail);
    }
    std::string chunk;
    for (const auth::StoredAudit& stored : page.records) {
      chunk += asked.format == Format::csv ? csv_of(stored)
                                           : boost::json::serialize(json_of(stored)) + "\n";
    }
    if (!chunk.empty()) {
      goes_on = co_await writer.write(chunk);
    }
    goes_on = goes_on && page.next.has_value();
    start = page.next;
  }
}

awaitable<http::Response> list(Shared services, const http::Request& request) {
  const auto page = read_page(request, cursor_kind,
                              {"from", "to", "actor", "action", "object", "order", "format"});
  if (!page) {
    co_return page.error();
  }
  const auto asked = read_question(request, services->clock().wall);
  if (!asked) {
    co_return asked.error();
  }
  if (asked->format != Format::json) {
    if (request.query.contains("limit") || request.query.contains("cursor")) {
      co_return invalid("format", "a stream is not paged; leave out limit and cursor");
    }
    http::Response response;
    response.content_type = asked->format == Format::csv ? "text/csv" : "application/x-ndjson";
    response.stream = [services, question = *asked](http::BodyWriter& writer) {
      return stream(services, question, writer);
    };
    co_return response;
  }
  std::optional<std::uint64_t> start;
  if (!page->after.empty()) {
    start = std::strtoull(page->after.c_str(), nullptr, 10);
  }
  const auth::AuditPage found = co_await read(services, *asked, start, page->limit);
  if (!found.status.ok()) {
    co_return storage_problem(found.status);
  }
  boost::json::array items;
  for (const auth::StoredAudit& stored : found.records) {
    items.push_back(json_of(stored));
  }
  std::optional<std::string> next;
  if (found.next) {
    next = encode_cursor(cursor_kind, std::to_string(*found.next));
  }
  co_return page_response(request, std::move(items), next);
}

awaitable<http::Response> verify(Shared services, const http::Request& request) {
  const auto page = read_page(request, cursor_kind, {});
  if (!page) {
    co_return page.error();
  }
  const auto verifier =
      std::make_shared<auth::AuditVerifier>(services->store, services->audit.head());
  bool goes_on = true;
  while (goes_on) {
    auto work = [verifier] { return verifier->step(verify_slice) ? 1 : 0; };
    const auto busy = [] { return -1; };
    const int more = co_await http::run_blocking<int>(services->readers, work, busy);
    if (more < 0) {
      co_return storage_problem({storage::StatusCode::closed, "the readers are busy"});
    }
    goes_on = more == 1;
  }
  const auth::AuditVerifier::Finding& finding = verifier->finding();
  if (!finding.status.ok()) {
    co_return storage_problem(finding.status);
  }
  boost::json::object body;
  body["ok"] = finding.ok;
  body["checked"] = finding.checked;
  body["first"] = finding.first;
  boost::json::object head;
  head["sequence"] = finding.end.sequence;
  head["hash"] = crypto::to_hex(finding.end.hash);
  body["head"] = std::move(head);
  body["broken"] = nullptr;
  if (!finding.ok) {
    boost::json::object broken;
    broken["sequence"] = finding.broken;
    broken["reason"] = finding.what;
    body["broken"] = std::move(broken);
  }
  co_return http::json_response(body);
}

}  // namespace

http::EndpointTable audit_endpoints(const Shared& services) {
  return {
      {"GET", "/api/v1/audit", http::Guard::token, 0,
       [services](const http::Request& request) { return list(services, request); }},
      {"GET", "/api/v1/audit:verify", http::Guard::token, 0,
       [services](const http::Request& request) { return verify(services, request); }},
  };
}

}  // namespace skerry::admin_api
