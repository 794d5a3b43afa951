// Random filters, printed with random spelling, against an evaluator that shares no code with the
// one under test.
#include <doctest/doctest.h>

#include <memory>
#include <random>

#include "filter/filter.hpp"
#include "unit/filter/things.hpp"

using namespace skerry;
using test::Thing;

namespace {

const WallTime now = WallTime{std::chrono::days{20000}};

/// A condition on a thing, with its own judgement.
struct Naive {
  std::string text;
  std::function<bool(const Thing&)> holds;
};

class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}

  unsigned pick(unsigned count) { return static_cast<unsigned>(random_() % count); }
  std::string spaces() { return std::string(1 + pick(2), pick(4) == 0 ? '\t' : ' '); }
  std::string word() {
    std::string made;
    for (unsigned index = 0; index < 1 + pick(3); ++index) {
      made += "abA1"[pick(4)];
    }
    return made;
  }

  Thing thing();
  Naive condition(unsigned depth);

 private:
  Naive join(unsigned depth, bool all);
  Naive term();
  Naive text_term();
  Naive pattern_term();
  Naive number_term();
  Naive time_term();

  std::mt19937 random_;
};

Thing Maker::thing() {
  Thing made;
  for (unsigned index = 0; index < pick(4); ++index) {
    made.texts.emplace("t", word());
  }
  if (pick(3) != 0) {
    made.texts.emplace("u", word());
  }
  if (pick(3) != 0) {
    made.others.emplace("n", static_cast<double>(pick(5)));
  }
  if (pick(2) != 0) {
    made.others.emplace("b", pick(2) == 0);
  }
  if (pick(3) != 0) {
    made.others.emplace("w", now - std::chrono::hours{pick(100)});
  }
  return made;
}

template <typename Predicate>
bool any_text(const Thing& thing, const std::string& field, Predicate predicate) {
  for (const auto& [name, text] : thing.texts) {
    if ((field.empty() || field == name) && predicate(text)) {
      return true;
    }
  }
  return false;
}

Naive Maker::text_term() {
  const std::string field = pick(2) == 0 ? "t" : "u";
  const std::string wanted = word();
  const std::string value = pick(2) == 0 ? wanted : "\"" + wanted + "\"";
  return {field + ":" + (pick(3) == 0 ? " " : "") + value, [=](const Thing& thing) {
            return any_text(thing, field, [&](const std::string& text) { return text == wanted; });
          }};
}

/// The recursive definition of `*`, slow and plain.
bool like(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) {
    return text.empty();
  }
  if (pattern.front() == '*') {
    return like(text, pattern.substr(1)) || (!text.empty() && like(text.substr(1), pattern));
  }
  return !text.empty() && text.front() == pattern.front() &&
         like(text.substr(1), pattern.substr(1));
}

std::string lower(std::string text) {
  for (char& c : text) {
    c = static_cast<char>(std::tolower(c));
  }
  return text;
}

Naive Maker::pattern_term() {
  std::string pattern;
  for (unsigned index = 0; index < 1 + pick(4); ++index) {
    pattern += "ab*A*1"[pick(6)];
  }
  if (pick(3) == 0) {
    return {pattern, [=](const Thing& thing) {
              return any_text(thing, "", [&](const std::string& text) {
                return like(lower(text), "*" + lower(pattern) + "*");
              });
            }};
  }
  return {"t:" + pattern, [=](const Thing& thing) {
            return any_text(thing, "t",
                            [&](const std::string& text) { return like(text, pattern); });
          }};
}

Naive Maker::number_term() {
  const double wanted = pick(5);
  const double high = wanted + pick(3);
  const unsigned form = pick(6);
  const std::string number = std::to_string(static_cast<int>(wanted)) + (pick(2) == 0 ? ".0" : "");
  const std::string texts[] = {
      "n:" + number, "n<" + number,  "n<=" + number,
      "n>" + number, "n>=" + number, "n:[" + number + " TO " + std::to_string(high) + "]"};
  return {texts[form], [=](const Thing& thing) {
            const auto found = thing.others.find("n");
            if (found == thing.others.end()) {
              return false;
            }
            const double value = std::get<double>(found->second);
            const bool judged[] = {value == wanted, value<wanted, value <= wanted, value> wanted,
                                   value >= wanted, value >= wanted && value <= high};
            return judged[form];
          }};
}

Naive Maker::time_term() {
  const unsigned hours = pick(100);
  const WallTime wanted = now - std::chrono::hours{hours};
  const unsigned form = pick(4);
  const std::string time = "-" + std::to_string(hours) + "h";
  const std::string texts[] = {"w:" + time, "w<" + time, "w>" + time, "w:[" + time + " TO now]"};
  return {texts[form], [=](const Thing& thing) {
            const auto found = thing.others.find("w");
            if (found == thing.others.end()) {
              return false;
            }
            const WallTime value = std::get<WallTime>(found->second);
            const bool judged[] = {value == wanted, value<wanted, value> wanted,
                                   value >= wanted && value <= now};
            return judged[form];
          }};
}

Naive Maker::term() {
  switch (pick(5)) {
    case 0:
      return number_term();
    case 1:
      return time_term();
    case 2:
      return pattern_term();
    case 3: {
      const bool wanted = pick(2) == 0;
      return {wanted ? "b:true" : "b:false", [=](const Thing& thing) {
                const auto found = thing.others.find("b");
                return found != thing.others.end() && std::get<bool>(found->second) == wanted;
              }};
    }
    default:
      return text_term();
  }
}

Naive Maker::join(unsigned depth, bool all) {
  std::vector<Naive> parts;
  std::string text;
  for (unsigned index = 0; index < 2 + pick(2); ++index) {
    parts.push_back(condition(depth - 1));
    const std::string link = all ? (pick(2) == 0 ? "AND" + spaces() : "") : "OR" + spaces();
    text += (index == 0 ? "" : spaces() + link) + parts.back().text;
  }
  return {"(" + text + ")", [=](const Thing& thing) {
            for (const Naive& part : parts) {
              if (part.holds(thing) != all) {
                return !all;
              }
            }
            return all;
          }};
}

Naive Maker::condition(unsigned depth) {
  if (depth == 0) {
    return term();
  }
  switch (pick(4)) {
    case 0:
      return join(depth, true);
    case 1:
      return join(depth, false);
    case 2: {
      const Naive inner = condition(depth - 1);
      return {"NOT" + spaces() + inner.text,
              [=](const Thing& thing) { return !inner.holds(thing); }};
    }
    default:
      return term();
  }
}

}  // namespace

TEST_CASE("random filters judge random things as the plain definition does") {
  Maker maker{20261125};
  int matched = 0;
  int judged = 0;
  for (int round = 0; round < 4000; ++round) {
    const Naive naive = maker.condition(maker.pick(4));
    const auto filter = filter::parse(naive.text);
    if (!filter) {
      CHECK_MESSAGE(filter.error().what.find("at most 64 values") != std::string::npos,
                    naive.text << ": " << filter.error().what);
      continue;
    }
    for (int index = 0; index < 10; ++index) {
      const Thing thing = maker.thing();
      const bool expected = naive.holds(thing);
      if (filter->matches(thing, now) != expected) {
        FAIL_CHECK(naive.text << " should be " << expected);
      }
      matched += expected ? 1 : 0;
      ++judged;
    }
  }
  // The cases must not be all of one kind.
  CHECK(matched > judged / 10);
  CHECK(matched < judged * 9 / 10);
}
