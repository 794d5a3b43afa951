// Holds a filter against the fields there are, so that a misspelled one is an error and not an
// empty list.
#include "base/assert.hpp"
#include "filter/filter.hpp"

namespace skerry::filter {
namespace {

using KindOf = FunctionRef<std::optional<FieldKind>(std::string_view field)>;

std::string shown(std::string_view field) {
  const bool harmless = field.size() <= 64 && field.find_first_not_of(
                                                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                                                  "WXYZ0123456789_.-") == std::string_view::npos;
  return harmless ? "\"" + std::string{field} + "\"" : "this field";
}

/// What is wrong with comparing a field of this kind; empty when nothing is.
std::string_view mismatch(const Term& term, FieldKind kind) {
  const auto every = [&](auto holds) {
    return (!term.operand || holds(*term.operand)) && (!term.high || holds(*term.high));
  };
  switch (kind) {
    case FieldKind::text:
      return {};
    case FieldKind::number:
      return every([](const Operand& operand) { return operand.number.has_value(); })
                 ? std::string_view{}
                 : " is a number";
    case FieldKind::boolean:
      return term.comparison == Comparison::equal && term.operand->boolean
                 ? std::string_view{}
                 : " is either true or false";
    case FieldKind::time:
      return every([](const Operand& operand) { return operand.time.has_value(); })
                 ? std::string_view{}
                 : " is a time: write 2026-11-25, 2026-11-25T10:30:00Z, -7d or now";
  }
  return {};
}

std::optional<FilterError> check_node(const Node& node, KindOf kind_of) {
  for (const Node& child : node.children) {
    if (auto error = check_node(child, kind_of)) {
      return error;
    }
  }
  const Term& term = node.term;
  if (node.kind != Node::Kind::term || term.comparison == Comparison::contains) {
    return std::nullopt;
  }
  const auto kind = kind_of(term.field);
  if (!kind) {
    return FilterError{term.offset, "there is no field " + shown(term.field)};
  }
  if (term.comparison == Comparison::equal && term.operand->is_anything()) {
    return std::nullopt;
  }
  const std::string_view wrong = mismatch(term, *kind);
  return wrong.empty() ? std::nullopt
                       : std::optional{FilterError{term.offset, shown(term.field).append(wrong)}};
}

}  // namespace

std::optional<FilterError> check(const Filter& filter, KindOf kind_of) {
  return check_node(filter.root(), kind_of);
}

void throw_exception_from_error(const FilterError&, const boost::source_location& where) {
  assertion_failed("value of a failed filter", where.file_name(), static_cast<int>(where.line()));
}

}  // namespace skerry::filter
