// audit list, tail, verify.
#include <algorithm>
#include <boost/json/array.hpp>
#include <chrono>
#include <ostream>
#include <thread>

#include "cli/api.hpp"
#include "cli/command_line.hpp"
#include "cli/failure.hpp"
#include "cli/list.hpp"

namespace skerry::cli {
namespace {

struct FilterOptions {
  std::string actor;
  std::string action;
  std::string object;
  std::string from;
  std::string to;
  std::string order = "desc";
  std::size_t limit = 100;
};

struct TailOptions : FilterOptions {
  double interval_seconds = 2;
};

constexpr std::size_t tail_first_records = 20;
/// More new ones between two looks are not shown: use list.
constexpr std::size_t tail_records_max = 500;

struct VerifyOptions {
  std::string hash;
};

const std::vector<Column> columns{
    {"TIME", "time"},       {"ACTOR", "actor"},   {"ACTION", "action"}, {"OBJECT", "object"},
    {"OUTCOME", "outcome"}, {"DETAIL", "detail"}, {"FROM", "address"}};

std::string target_of(const FilterOptions& options) {
  std::string target = "/api/v1/audit?limit=" + std::to_string(std::min<std::size_t>(
                                                    options.limit == 0 ? 500 : options.limit, 500));
  target = with_parameter(target, "actor", options.actor);
  target = with_parameter(target, "action", options.action);
  target = with_parameter(target, "object", options.object);
  target = with_parameter(target, "from", options.from);
  target = with_parameter(target, "to", options.to);
  return with_parameter(target, "order", options.order);
}

void add_filter(CLI::App& command, FilterOptions& options) {
  command.add_option("--actor", options.actor, "Who, such as user:admin or device:*");
  command.add_option("--action", options.action, "What, such as token.create or device.*");
  command.add_option("--object", options.object, "With what, such as device:pump-7");
}

void audit_list(Session& session, const FilterOptions& options) {
  print_list(session, {target_of(options), columns, "sequence", options.limit});
}

/// One line, in the form that was asked for.
void print_record(Session& session, const boost::json::object& record,
                  std::vector<std::size_t>& widths) {
  if (session.output == Output::json || session.output == Output::yaml) {
    session.out << json_text(record) << '\n';
  } else {
    Row line;
    for (const Column& column : columns) {
      line.push_back(cell(record.if_contains(column.path)));
    }
    if (session.output == Output::csv) {
      print_csv_line(session.out, line);
    } else {
      print_table_line(session.out, line, widths);
    }
  }
  session.out.flush();
}

/// Records never change, so what is new stands behind the last one that was seen.
void audit_tail(Session& session, const TailOptions& options) {
  FilterOptions filter = options;
  filter.limit = tail_first_records;
  const Api api{session.settings};
  std::vector<std::size_t> widths(columns.size());
  std::int64_t last = 0;
  for (;;) {
    const boost::json::value page = api.call("GET", target_of(filter));
    const boost::json::array& items = page.at("items").as_array();
    for (auto item = items.rbegin(); item != items.rend(); ++item) {
      if (item->at("sequence").to_number<std::int64_t>() > last) {
        last = item->at("sequence").to_number<std::int64_t>();
        print_record(session, item->as_object(), widths);
      }
    }
    filter.limit = tail_records_max;
    std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_seconds));
  }
}

/// Fails when the chain is broken, and when it is not the one of the hash that was noted earlier.
void audit_verify(Session& session, const VerifyOptions& options) {
  const boost::json::value answer = Api{session.settings}.call("GET", "/api/v1/audit:verify");
  const boost::json::object& found = answer.as_object();
  print_object(session, answer, rows_of(found));
  if (!found.at("ok").as_bool()) {
    throw Failure("the audit has been tampered with or damaged at record " +
                  cell(member_at(found, "broken.sequence")) + ": " +
                  cell(member_at(found, "broken.reason")));
  }
  if (options.hash.empty()) {
    return;
  }
  std::string target = "/api/v1/audit?order=asc&limit=500";
  bool is_known = false;
  Api{session.settings}.each_page(target, [&](const boost::json::object& page) {
    for (const boost::json::value& item : page.at("items").as_array()) {
      is_known = is_known || item.at("hash").as_string() == options.hash;
    }
    return !is_known;
  });
  if (!is_known) {
    throw Failure("no record has the hash " + options.hash +
                  ": this is not the chain that it was noted from, or it has been cut");
  }
}

}  // namespace

void add_audit_commands(CommandLine& line) {
  CLI::App& audit = line.group("audit", "Who changed what and who was refused");
  const auto list = std::make_shared<FilterOptions>();
  CLI::App& list_words =
      line.add(audit, "list", "List records, the newest first", list, &audit_list);
  add_filter(list_words, *list);
  list_words.add_option("--from", list->from, "First instant: RFC 3339, or relative like -1h");
  list_words.add_option("--to", list->to, "Instant behind the last one");
  list_words.add_option("--order", list->order, "desc or asc")->capture_default_str();
  list_words.add_option("--limit", list->limit, "At most so many; 0: all")->capture_default_str();

  const auto tail = std::make_shared<TailOptions>();
  CLI::App& tail_words =
      line.add(audit, "tail", "Show the last records and go on with new ones", tail, &audit_tail);
  add_filter(tail_words, *tail);
  tail_words.add_option("--interval", tail->interval_seconds, "Seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();

  const auto verify = std::make_shared<VerifyOptions>();
  CLI::App& verify_words =
      line.add(audit, "verify", "Check the chain of hashes; exit code 1 when it is broken", verify,
               &audit_verify);
  verify_words.add_option("--hash", verify->hash,
                          "A hash noted earlier, which must be that of a record");
}

}  // namespace skerry::cli
