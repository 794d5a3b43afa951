// A parsed filter as a tree: what an index may look into to answer a part of it by itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/now.hpp"

namespace skerry::filter {

/// One value of a field. Views live as long as the call they are passed to.
using Value = std::variant<std::string_view, double, bool, WallTime>;

/// What values a field has; an operand that cannot be one of them is refused by check().
enum class FieldKind : std::uint8_t { text, number, boolean, time };

/// A time as written: a period (a day, a minute, a second, a millisecond) or a distance from now.
struct TimeLiteral {
  bool relative = false;
  Milliseconds offset{};  ///< relative: added to now
  WallTime begin{};       ///< absolute: from here …
  WallTime end{};         ///< … to before here

  /// [first, second)
  std::pair<WallTime, WallTime> period(WallTime now) const {
    return relative ? std::pair{now + offset, now + offset + Milliseconds{1}}
                    : std::pair{begin, end};
  }
};

/// What a field is compared with, in every reading that its text allows.
struct Operand {
  std::string text;  ///< unescaped
  /// Parts between unescaped `*`s of a word, more than one when there is a wildcard: "a*b" is
  /// {"a", "b"}, "*" is {"", ""}. A quoted text is one part.
  std::vector<std::string> parts;
  std::optional<double> number;
  std::optional<bool> boolean;
  std::optional<TimeLiteral> time;

  bool has_wildcard() const noexcept { return parts.size() > 1; }
  /// "*" alone: any value at all.
  bool is_anything() const noexcept {
    return parts.size() == 2 && parts[0].empty() && parts[1].empty();
  }
};

enum class Comparison : std::uint8_t {
  equal,  ///< `field:value`, wildcards included
  less,
  less_equal,
  greater,
  greater_equal,
  range,    ///< `field:[low TO high]`, both included, either may be missing
  contains  ///< free text: no field; the parts occur in their order, upper or lower case
};

struct Term {
  std::string field;  ///< empty for free text
  Comparison comparison = Comparison::equal;
  std::optional<Operand> operand;  ///< for `range` its lower end
  std::optional<Operand> high;     ///< upper end of a range
  std::size_t offset = 0;          ///< where it stands in the text, for messages
};

struct Node {
  enum class Kind : std::uint8_t {
    all,  ///< every child; without children: everything
    any,
    negation,  ///< of its only child
    term
  };
  Kind kind = Kind::all;
  std::vector<Node> children;
  Term term;
};

/// Does one value satisfy the term? `now` resolves relative times.
bool matches(const Term& term, const Value& value, WallTime now);

/// Orders texts as people do: as numbers when both are, otherwise runs of digits by their value
/// ("1.2.10" behind "1.2.9") and the rest by bytes. Negative, zero or positive. Good for comparing
/// with one operand, not for sorting: "1.10" < "1.9" < "1.9x" < "1.10".
int compare_texts(std::string_view left, std::string_view right) noexcept;

}  // namespace skerry::filter
