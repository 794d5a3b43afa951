// RowPrinter: rows that come one after the other and may never end, in every output format. A table
// learns its widths as it goes. JSON is a list when the rows end and one object a line when they
// may not; YAML is a list or one document a row.
#pragma once

#include <string>
#include <vector>

#include "cli/output.hpp"

namespace skerry::cli {

class RowPrinter {
 public:
  /// `session` must outlive this object. `ends`: finish() will be called.
  RowPrinter(Session& session, std::vector<Column> columns, bool ends);

  void print(const boost::json::object& row);
  /// Behind the last row.
  void finish();
  std::uint64_t count() const noexcept { return count_; }

 private:
  void print_head();
  Row cells_of(const boost::json::object& row) const;

  Session& session_;
  const std::vector<Column> columns_;
  const bool ends_;
  std::vector<std::size_t> widths_;
  std::uint64_t count_ = 0;
};

/// Cuts a stream into lines, whatever parts it comes in.
class LineCutter {
 public:
  /// Visits every line that is now whole, without its line feed; false from `visit` ends it and is
  /// returned.
  bool feed(std::string_view part, const std::function<bool(std::string_view)>& visit);
  /// What has come behind the last line feed.
  const std::string& rest() const noexcept { return rest_; }

 private:
  std::string rest_;
};

}  // namespace skerry::cli
