// Lists of the API.
#include "cli/list.hpp"

#include <algorithm>
#include <map>
#include <ostream>
#include <set>
#include <thread>

#include "cli/failure.hpp"

namespace skerry::cli {
namespace {

/// What is not there is "-" for people and nothing for programs.
Row row_of(const List& list, const boost::json::object& item, Output output) {
  Row row;
  for (const Column& column : list.columns) {
    std::string text = column.text ? column.text(item) : cell(member_at(item, column.path));
    if (text == "-" && output == Output::csv) {
      text.clear();
    } else if (text.empty() && output == Output::table) {
      text = "-";
    }
    row.push_back(std::move(text));
  }
  return row;
}

Row titles_of(const List& list) {
  Row titles;
  for (const Column& column : list.columns) {
    titles.push_back(column.title);
  }
  return titles;
}

void print_csv_header(Session& session, const List& list) {
  Row header;
  for (const Column& column : list.columns) {
    header.push_back(column.path.empty() ? column.title : column.path);
  }
  print_csv_line(session.out, header);
}

std::string id_of(const List& list, const boost::json::object& item) {
  return cell(member_at(item, list.id));
}

using Visit = std::function<void(const boost::json::object&)>;
using Each = std::function<void(const Visit&)>;

/// Gives every item of the list, at most as many as were asked for.
void each_item(Session& session, const List& list, const Visit& visit) {
  std::size_t count = 0;
  Api{session.settings}.each_page(list.target, [&](const boost::json::object& page) {
    for (const boost::json::value& item : page.at("items").as_array()) {
      if (list.limit != 0 && count == list.limit) {
        return false;
      }
      visit(item.as_object());
      ++count;
    }
    return true;
  });
}

/// Once. All formats but the table are written as the pages come.
void print_once(Session& session, const List& list, const Each& each) {
  std::vector<Row> rows;
  std::size_t count = 0;
  std::ostream& out = session.out;
  if (session.output == Output::csv && !session.quiet) {
    print_csv_header(session, list);
  }
  each([&](const boost::json::object& item) {
    ++count;
    if (session.quiet) {
      out << visible(id_of(list, item)) << '\n';
      return;
    }
    switch (session.output) {
      case Output::table:
        rows.push_back(row_of(list, item, session.output));
        break;
      case Output::json:
        out << (count == 1 ? "[" : ",") << json_text(item);
        break;
      case Output::yaml:
        out << yaml_text(boost::json::array{item});
        break;
      case Output::csv:
        print_csv_line(out, row_of(list, item, session.output));
        break;
    }
  });
  if (session.quiet) {
    return;
  }
  if (session.output == Output::table) {
    print_table(out, titles_of(list), rows);
  } else if (session.output == Output::json) {
    out << (count == 0 ? "[]\n" : "]\n");
  } else if (session.output == Output::yaml && count == 0) {
    out << "[]\n";
  }
}

/// Prints what differs from round to round. JSON is one item a line, YAML one document an item.
class Watch {
 public:
  Watch(Session& session, const List& list) : session_(session), list_(list) {}

  void round();

 private:
  void print(const boost::json::object& item);
  void print_gone(const std::string& id);
  void print_first();

  Session& session_;
  const List& list_;
  std::map<std::string, std::string> known_;  ///< id → what it was
  std::vector<Row> first_rows_;
  std::vector<std::size_t> widths_;
  bool first_ = true;
};

void Watch::print(const boost::json::object& item) {
  if (session_.quiet) {
    session_.out << visible(id_of(list_, item)) << '\n';
    return;
  }
  switch (session_.output) {
    case Output::table:
      if (first_) {
        first_rows_.push_back(row_of(list_, item, session_.output));
      } else {
        print_table_line(session_.out, row_of(list_, item, session_.output), widths_);
      }
      break;
    case Output::json:
      session_.out << json_text(item) << '\n';
      break;
    case Output::yaml:
      session_.out << "---\n" << yaml_text(item);
      break;
    case Output::csv:
      print_csv_line(session_.out, row_of(list_, item, session_.output));
      break;
  }
}

void Watch::print_gone(const std::string& id) {
  if (session_.quiet) {
    return;
  }
  boost::json::object gone;
  gone[list_.id] = id;
  gone["gone"] = true;
  switch (session_.output) {
    case Output::table:
      print_table_line(session_.out, {id, "(gone)"}, widths_);
      break;
    case Output::json:
      session_.out << json_text(gone) << '\n';
      break;
    case Output::yaml:
      session_.out << "---\n" << yaml_text(gone);
      break;
    case Output::csv:
      print_csv_line(session_.out, {id, "(gone)"});
      break;
  }
}

/// The head, and in a table all rows that there are at first, since they decide the widths.
void Watch::print_first() {
  if (session_.quiet) {
    return;
  }
  if (session_.output == Output::table) {
    for (const Row& row : first_rows_) {
      widths_.resize(std::max(widths_.size(), row.size()), 0);
      for (std::size_t column = 0; column < row.size(); ++column) {
        widths_[column] = std::max(widths_[column], visible(row[column]).size());
      }
    }
    print_table_line(session_.out, titles_of(list_), widths_);
    for (const Row& row : first_rows_) {
      print_table_line(session_.out, row, widths_);
    }
    first_rows_.clear();
  }
}

void Watch::round() {
  std::set<std::string> seen;
  if (first_ && session_.output == Output::csv && !session_.quiet) {
    print_csv_header(session_, list_);
  }
  each_item(session_, list_, [&](const boost::json::object& item) {
    const std::string key =
        id_of(list_, item) +
        (list_.within.empty() ? "" : " of " + cell(member_at(item, list_.within)));
    std::string text = json_text(item);
    seen.insert(key);
    if (const auto at = known_.find(key); at == known_.end() || at->second != text) {
      print(item);
      known_.insert_or_assign(key, std::move(text));
    }
  });
  if (first_) {
    print_first();
    first_ = false;
  }
  std::erase_if(known_, [&](const auto& entry) {
    if (seen.contains(entry.first)) {
      return false;
    }
    print_gone(entry.first);
    return true;
  });
  session_.out.flush();
}

}  // namespace

void add_watch_flags(CLI::App& command, WatchOptions& options) {
  command.add_flag("-w,--watch", options.watch, "Go on and print what changes");
  command.add_option("--interval", options.interval_seconds, "Seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
}

void print_list(Session& session, const List& list, const WatchOptions& watch) {
  if (!watch.watch) {
    print_once(session, list, [&](const Visit& visit) { each_item(session, list, visit); });
    return;
  }
  Watch watched{session, list};
  while (session.out.good()) {
    watched.round();
    std::this_thread::sleep_for(std::chrono::duration<double>(watch.interval_seconds));
  }
}

void print_items(Session& session, const std::vector<Column>& columns,
                 const boost::json::array& items, const std::string& id) {
  const List list{{}, columns, id};
  print_once(session, list, [&](const Visit& visit) {
    for (const boost::json::value& item : items) {
      visit(item.as_object());
    }
  });
}

Progress::Progress(Session& session, std::string what, std::string unit, std::uint64_t total)
    : session_(session),
      what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      shown_(session.terminal_err && !session.quiet) {}

Progress::~Progress() {
  clear();
}

void Progress::clear() {
  if (width_ > 0) {
    session_.err << '\r' << std::string(width_, ' ') << '\r' << std::flush;
    width_ = 0;
  }
}

void Progress::update(std::uint64_t done) {
  constexpr std::chrono::milliseconds interval{200};
  const Clock::time_point now = Clock::now();
  if (!shown_ || now - last_ < interval) {
    return;
  }
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  std::string text = what_ + " " + std::to_string(done);
  if (total_ > 0) {
    text += " of " + std::to_string(total_) + " " + unit_ + " (" +
            std::to_string(done * 100 / total_) + " %)";
  } else {
    text += " " + unit_;
  }
  if (seconds > 1) {
    text += ", " + std::to_string(static_cast<std::uint64_t>(static_cast<double>(done) / seconds)) +
            " a second";
  }
  clear();
  session_.err << text << std::flush;
  width_ = text.size();
}

}  // namespace skerry::cli
