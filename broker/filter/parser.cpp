// Recursive descent over the text of a filter; depth, values and length are capped before.
#include <algorithm>

#include "base/limits.hpp"
#include "filter/filter.hpp"
#include "filter/operand.hpp"

namespace skerry::filter {
namespace {

using Outcome = Result<Node, FilterError>;

bool is_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool is_control(char c) noexcept {
  return (static_cast<unsigned char>(c) < 0x20 && !is_space(c)) || c == 0x7f;
}

/// Characters that end a word wherever it stands.
bool ends_word(char c) noexcept {
  return is_space(c) || is_control(c) ||
         std::string_view{"()[]\""}.find(c) != std::string_view::npos;
}

bool is_operator(char c) noexcept {
  return c == ':' || c == '<' || c == '>' || c == '=';
}

/// Alternatives or conditions under one node; one of them alone needs none.
Node join(Node::Kind kind, std::vector<Node> children) {
  if (children.size() == 1) {
    return std::move(children.front());
  }
  Node node;
  node.kind = kind;
  node.children = std::move(children);
  return node;
}

struct Word {
  std::vector<std::string> parts{{}};
  bool quoted = false;
  bool escaped = false;
  std::size_t offset = 0;

  bool is(std::string_view keyword) const {
    return !quoted && !escaped && parts.size() == 1 && parts.front() == keyword;
  }
  bool is_keyword() const { return is("AND") || is("OR") || is("NOT") || is("TO"); }
};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Outcome run();

 private:
  FilterError error(std::size_t offset, std::string what) const {
    return {offset, std::move(what)};
  }
  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  void skip_spaces();
  bool take(char c);
  bool take_keyword(std::string_view keyword);
  bool at_keyword(std::string_view keyword) const;

  Result<Word, FilterError> read_word(bool in_field);
  Result<Word, FilterError> read_quoted();
  Result<Word, FilterError> read_value();

  // `field` is the one before the brackets that we are in; null outside of such.
  Outcome parse_or(const std::string* field, std::size_t depth);
  Outcome parse_and(const std::string* field, std::size_t depth);
  Outcome parse_not(const std::string* field, std::size_t depth);
  Outcome parse_brackets(const std::string* field, std::size_t depth);
  Outcome parse_term(std::size_t depth);
  Outcome parse_comparison(const std::string& field, std::size_t offset, std::size_t depth);
  Outcome parse_range(const std::string& field);
  Result<std::optional<Operand>, FilterError> parse_bound();
  Outcome make_term(Term term);

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t terms_ = 0;
};

void Parser::skip_spaces() {
  while (!at_end() && is_space(text_[at_])) {
    ++at_;
  }
}

bool Parser::take(char c) {
  const bool there = !at_end() && text_[at_] == c;
  at_ += there ? 1 : 0;
  return there;
}

bool Parser::at_keyword(std::string_view keyword) const {
  const std::string_view rest = text_.substr(at_);
  return rest.starts_with(keyword) &&
         (rest.size() == keyword.size() || ends_word(rest[keyword.size()]));
}

bool Parser::take_keyword(std::string_view keyword) {
  skip_spaces();
  const bool there = at_keyword(keyword);
  at_ += there ? keyword.size() : 0;
  return there;
}

Result<Word, FilterError> Parser::read_quoted() {
  Word word;
  word.quoted = true;
  word.offset = at_++;
  for (; !at_end(); ++at_) {
    const char c = text_[at_];
    if (c == '"') {
      ++at_;
      return word;
    }
    if (is_control(c)) {
      return error(at_, "a filter has no control characters");
    }
    if (c == '\\' && at_ + 1 < text_.size()) {
      ++at_;
    }
    word.parts.front() += text_[at_];
  }
  return error(word.offset, "this quotation mark is never closed");
}

/// `in_field`: an operator ends the word, so that it may turn out to be a field's name.
Result<Word, FilterError> Parser::read_word(bool in_field) {
  Word word;
  word.offset = at_;
  for (; !at_end(); ++at_) {
    const char c = text_[at_];
    if (ends_word(c) || (in_field && is_operator(c))) {
      break;
    }
    if (c == '*') {
      word.parts.emplace_back();
      continue;
    }
    if (c == '\\') {
      word.escaped = true;
      if (++at_ == text_.size() || is_control(text_[at_])) {
        return error(at_ - 1, "a backslash stands before the character that it takes literally");
      }
    }
    word.parts.back() += text_[at_];
  }
  return word;
}

Result<Word, FilterError> Parser::read_value() {
  skip_spaces();
  const std::size_t offset = at_;
  auto word = peek() == '"' ? read_quoted() : read_word(false);
  if (word && (at_ == offset || word->is_keyword())) {
    return error(offset, at_end() || !is_control(peek()) ? "a value is missing here"
                                                         : "a filter has no control characters");
  }
  return word;
}

Outcome Parser::make_term(Term term) {
  if (++terms_ > filter_terms_max) {
    return error(term.offset,
                 "a filter compares at most " + std::to_string(filter_terms_max) + " values");
  }
  Node node;
  node.kind = Node::Kind::term;
  node.term = std::move(term);
  return node;
}

Outcome Parser::run() {
  if (text_.size() > filter_bytes_max) {
    return error(filter_bytes_max,
                 "a filter is at most " + std::to_string(filter_bytes_max) + " bytes long");
  }
  skip_spaces();
  if (at_end()) {
    return Node{};
  }
  Outcome node = parse_or(nullptr, 0);
  skip_spaces();
  if (node && !at_end()) {
    return error(at_, peek() == ')' ? "this bracket closes nothing" : "this is not expected here");
  }
  return node;
}

Outcome Parser::parse_or(const std::string* field, std::size_t depth) {
  std::vector<Node> children;
  do {
    Outcome child = parse_and(field, depth);
    if (!child) {
      return child;
    }
    children.push_back(*std::move(child));
  } while (take_keyword("OR"));
  return join(Node::Kind::any, std::move(children));
}

Outcome Parser::parse_and(const std::string* field, std::size_t depth) {
  std::vector<Node> children;
  while (true) {
    Outcome child = parse_not(field, depth);
    if (!child) {
      return child;
    }
    children.push_back(*std::move(child));
    const bool more = take_keyword("AND");
    if (!more && (at_end() || peek() == ')' || at_keyword("OR"))) {
      return join(Node::Kind::all, std::move(children));
    }
  }
}

Outcome Parser::parse_not(const std::string* field, std::size_t depth) {
  skip_spaces();
  if (depth > filter_depth_max) {
    return error(
        at_, "brackets and NOTs are at most " + std::to_string(filter_depth_max) + " levels deep");
  }
  if (take_keyword("NOT")) {
    Outcome child = parse_not(field, depth + 1);
    if (!child) {
      return child;
    }
    std::vector<Node> only;
    only.push_back(*std::move(child));
    Node node;
    node.kind = Node::Kind::negation;
    node.children = std::move(only);
    return node;
  }
  if (peek() == '(') {
    return parse_brackets(field, depth + 1);
  }
  if (field == nullptr) {
    return parse_term(depth);
  }
  if (peek() == '[') {
    return parse_range(*field);
  }
  auto value = read_value();
  if (!value) {
    return std::move(value).error();
  }
  Term term;
  term.field = *field;
  term.offset = value->offset;
  term.operand = make_operand(std::move(value->parts), value->quoted);
  return make_term(std::move(term));
}

Outcome Parser::parse_brackets(const std::string* field, std::size_t depth) {
  const std::size_t offset = at_++;
  Outcome inner = parse_or(field, depth);
  skip_spaces();
  if (inner && !take(')')) {
    return error(offset, "this bracket is never closed");
  }
  return inner;
}

/// A field with its comparison, or free text.
Outcome Parser::parse_term(std::size_t depth) {
  const std::size_t offset = at_;
  const bool quoted = peek() == '"';
  auto word = quoted ? read_quoted() : read_word(true);
  if (!word) {
    return std::move(word).error();
  }
  if (at_ == offset) {
    if (is_control(peek()) && !at_end()) {
      return error(at_, "a filter has no control characters");
    }
    return error(at_, is_operator(peek()) ? "a field's name is missing before this"
                                          : "a condition is missing here");
  }
  if (word->is_keyword()) {
    return error(offset, word->is("TO") ? "TO stands only between the ends of a range"
                                        : "a condition is missing before this word");
  }
  if (!is_operator(peek())) {
    Term term;
    term.comparison = Comparison::contains;
    term.offset = offset;
    term.operand = make_operand(std::move(word->parts), quoted);
    return make_term(std::move(term));
  }
  const std::string& name = word->parts.front();
  const bool is_name = !quoted && word->parts.size() == 1 &&
                       ((name.front() >= 'a' && name.front() <= 'z') ||
                        (name.front() >= 'A' && name.front() <= 'Z') || name.front() == '_');
  if (!is_name) {
    return error(offset,
                 "this is no field's name; text that has one of : < > = is written in quotes");
  }
  return parse_comparison(name, offset, depth);
}

Outcome Parser::parse_comparison(const std::string& field, std::size_t offset, std::size_t depth) {
  Term term;
  term.field = field;
  term.offset = offset;
  if (take('=')) {
    return error(at_ - 1, "equality is written field:value");
  }
  if (take(':')) {
    skip_spaces();
    if (peek() == '(') {
      return parse_brackets(&field, depth + 1);
    }
    if (peek() == '[') {
      return parse_range(field);
    }
  } else {
    const bool less = take('<');
    at_ += less ? 0 : 1;
    const bool equal = take('=');
    term.comparison = less ? (equal ? Comparison::less_equal : Comparison::less)
                           : (equal ? Comparison::greater_equal : Comparison::greater);
  }
  auto value = read_value();
  if (!value) {
    return std::move(value).error();
  }
  if (term.comparison != Comparison::equal && value->parts.size() > 1) {
    return error(value->offset, "only field:value knows the wildcard *");
  }
  term.operand = make_operand(std::move(value->parts), value->quoted);
  return make_term(std::move(term));
}

/// A value, or `*` for an open end.
Result<std::optional<Operand>, FilterError> Parser::parse_bound() {
  auto value = read_value();
  if (!value) {
    return std::move(value).error();
  }
  const std::size_t offset = value->offset;
  Operand operand = make_operand(std::move(value->parts), value->quoted);
  if (operand.is_anything()) {
    return std::optional<Operand>{};
  }
  if (operand.has_wildcard()) {
    return error(offset, "the end of a range is a value or * alone");
  }
  return std::optional{std::move(operand)};
}

Outcome Parser::parse_range(const std::string& field) {
  Term term;
  term.field = field;
  term.comparison = Comparison::range;
  term.offset = at_++;
  auto low = parse_bound();
  if (!low) {
    return std::move(low).error();
  }
  if (!take_keyword("TO")) {
    return error(at_, "a range is written [low TO high]");
  }
  auto high = parse_bound();
  if (!high) {
    return std::move(high).error();
  }
  skip_spaces();
  if (!take(']')) {
    return error(at_, "a range ends with ]");
  }
  term.operand = *std::move(low);
  term.high = *std::move(high);
  return make_term(std::move(term));
}

}  // namespace

Result<Filter, FilterError> parse(std::string_view text) {
  Outcome root = Parser{text}.run();
  if (!root) {
    return std::move(root).error();
  }
  return Filter{*std::move(root)};
}

}  // namespace skerry::filter
