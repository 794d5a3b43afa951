// Judging values against terms.
#include <algorithm>

#include "filter/filter.hpp"
#include "filter/operand.hpp"

namespace skerry::filter {
namespace {

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool has_order(Comparison comparison, int order) noexcept {
  switch (comparison) {
    case Comparison::equal:
      return order == 0;
    case Comparison::less:
      return order < 0;
    case Comparison::less_equal:
      return order <= 0;
    case Comparison::greater:
      return order > 0;
    case Comparison::greater_equal:
      return order >= 0;
    case Comparison::range:
    case Comparison::contains:
      break;
  }
  return false;
}

/// The parts in their order: the first at the start, the last at the end, others anywhere between.
/// Taking the leftmost place for each is enough, so it is O(text × parts).
bool has_pattern(std::string_view text, const std::vector<std::string>& parts) noexcept {
  if (parts.size() == 1) {
    return text == parts.front();
  }
  if (!text.starts_with(parts.front())) {
    return false;
  }
  text.remove_prefix(parts.front().size());
  for (std::size_t index = 1; index + 1 < parts.size(); ++index) {
    const std::size_t at = text.find(parts[index]);
    if (at == std::string_view::npos) {
      return false;
    }
    text.remove_prefix(at + parts[index].size());
  }
  return text.ends_with(parts.back());
}

bool contains_parts(std::string_view text, const std::vector<std::string>& parts) noexcept {
  auto from = text.begin();
  for (const std::string& part : parts) {
    const auto at = std::search(from, text.end(), part.begin(), part.end(),
                                [](char a, char b) { return lower(a) == lower(b); });
    if (at == text.end() && !part.empty()) {
      return false;
    }
    from = at + static_cast<std::ptrdiff_t>(part.size());
  }
  return true;
}

/// Judges one kind of value; each overload knows what its operands must have.
struct Judge {
  const Term& term;
  WallTime now;

  bool operator()(std::string_view value) const {
    switch (term.comparison) {
      case Comparison::contains:
        return contains_parts(value, term.operand->parts);
      case Comparison::equal:
        return has_pattern(value, term.operand->parts);
      case Comparison::range:
        return (!term.operand || compare_texts(value, term.operand->text) >= 0) &&
               (!term.high || compare_texts(value, term.high->text) <= 0);
      case Comparison::less:
      case Comparison::less_equal:
      case Comparison::greater:
      case Comparison::greater_equal:
        break;
    }
    return has_order(term.comparison, compare_texts(value, term.operand->text));
  }

  bool operator()(double value) const {
    if (term.comparison == Comparison::range) {
      return (!term.operand || (term.operand->number && value >= *term.operand->number)) &&
             (!term.high || (term.high->number && value <= *term.high->number));
    }
    if (!term.operand->number) {
      return false;
    }
    const double wanted = *term.operand->number;
    return has_order(term.comparison, value < wanted ? -1 : (value > wanted ? 1 : 0));
  }

  bool operator()(bool value) const {
    return term.comparison == Comparison::equal && term.operand->boolean == value;
  }

  bool operator()(WallTime value) const {
    if (term.comparison == Comparison::range) {
      return (!term.operand ||
              (term.operand->time && value >= term.operand->time->period(now).first)) &&
             (!term.high || (term.high->time && value < term.high->time->period(now).second));
    }
    if (!term.operand->time) {
      return false;
    }
    const auto [begin, end] = term.operand->time->period(now);
    return has_order(term.comparison, value < begin ? -1 : (value >= end ? 1 : 0));
  }
};

bool holds(const Node& node, const Fields& fields, WallTime now) {
  const auto judge = [&](const Node& child) { return holds(child, fields, now); };
  switch (node.kind) {
    case Node::Kind::all:
      return std::all_of(node.children.begin(), node.children.end(), judge);
    case Node::Kind::any:
      return std::any_of(node.children.begin(), node.children.end(), judge);
    case Node::Kind::negation:
      return !holds(node.children.front(), fields, now);
    case Node::Kind::term:
      break;
  }
  return fields.each(node.term.field,
                     [&](const Value& value) { return matches(node.term, value, now); });
}

}  // namespace

int compare_texts(std::string_view left, std::string_view right) noexcept {
  const auto left_number = parse_number(left);
  const auto right_number = left_number ? parse_number(right) : std::nullopt;
  if (right_number) {
    return *left_number < *right_number ? -1 : (*left_number > *right_number ? 1 : 0);
  }
  const auto run = [](std::string_view& text) {
    std::size_t size = 0;
    while (size < text.size() && is_digit(text[size])) {
      ++size;
    }
    std::string_view digits = text.substr(0, size);
    text.remove_prefix(size);
    digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
    return digits;
  };
  while (!left.empty() && !right.empty()) {
    if (is_digit(left.front()) && is_digit(right.front())) {
      const std::string_view a = run(left);
      const std::string_view b = run(right);
      const int order = a.size() != b.size() ? (a.size() < b.size() ? -1 : 1) : a.compare(b);
      if (order != 0) {
        return order;
      }
      continue;
    }
    if (left.front() != right.front()) {
      return static_cast<unsigned char>(left.front()) < static_cast<unsigned char>(right.front())
                 ? -1
                 : 1;
    }
    left.remove_prefix(1);
    right.remove_prefix(1);
  }
  return left.empty() ? (right.empty() ? 0 : -1) : 1;
}

bool matches(const Term& term, const Value& value, WallTime now) {
  if (term.comparison == Comparison::equal && term.operand->is_anything()) {
    return true;
  }
  return std::visit(Judge{term, now}, value);
}

bool Filter::matches(const Fields& fields, WallTime now) const {
  return holds(root_, fields, now);
}

}  // namespace skerry::filter
