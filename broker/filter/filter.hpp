// The one filter grammar of Skerry (docs/adr/0015): what is typed into a search box, given to
// `?filter=`, to --filter and wherever devices are chosen.
//
//   filter   = [ or ]                                   nothing: everything
//   or       = and *( "OR" and )
//   and      = not *( [ "AND" ] not )
//   not      = "NOT" not / "(" or ")" / term
//   term     = field ":" ( value / range / "(" values ")" ) / field ( "<" / "<=" / ">" / ">=" )
//   value
//            / value                                    free text
//   values   = the grammar of `or` with values and ranges as terms
//   range    = "[" ( value / "*" ) "TO" ( value / "*" ) "]"
//   value    = word / DQUOTE text DQUOTE
//
// A word ends at white space, brackets and quotes; `*` in it is a wildcard, `\` takes the meaning
// from the next character. It knows no devices: whoever has fields implements Fields.
#pragma once

#include <boost/assert/source_location.hpp>

#include "base/function_ref.hpp"
#include "base/result.hpp"
#include "filter/term.hpp"

namespace skerry::filter {

struct FilterError {
  std::size_t offset = 0;  ///< byte of the text where it does not go on
  std::string what;        ///< a sentence for a human, without the text itself unless harmless
};

[[noreturn]] void throw_exception_from_error(const FilterError& error,
                                             const boost::source_location& where);

/// What is filtered.
class Fields {
 public:
  virtual ~Fields() = default;
  /// Visits the values of `field`, all texts worth searching when it is empty, until `visit`
  /// returns true; returns whether it did. A field may have none or several.
  virtual bool each(std::string_view field, FunctionRef<bool(const Value&)> visit) const = 0;
};

class Filter {
 public:
  /// Everything.
  Filter() = default;
  explicit Filter(Node root) : root_(std::move(root)) {}

  /// `NOT field:x` holds for what has no such field. O(terms × values).
  bool matches(const Fields& fields, WallTime now) const;
  const Node& root() const noexcept { return root_; }
  /// True when there is nothing to judge.
  bool is_everything() const noexcept {
    return root_.kind == Node::Kind::all && root_.children.empty();
  }

 private:
  Node root_;
};

/// Caps: filter_bytes_max, filter_terms_max, filter_depth_max. O(length).
Result<Filter, FilterError> parse(std::string_view text);

/// The first term that asks for an unknown field (`kind_of` gives nothing) or compares it with what
/// it can never be, such as a time with "soon".
std::optional<FilterError> check(
    const Filter& filter, FunctionRef<std::optional<FieldKind>(std::string_view field)> kind_of);

}  // namespace skerry::filter
