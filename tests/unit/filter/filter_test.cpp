// The grammar: what is understood, what it means, and what is refused where.
#include "filter/filter.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "base/limits.hpp"
#include "filter/operand.hpp"
#include "unit/filter/things.hpp"

using namespace skerry;
using namespace skerry::filter;
using test::Thing;

namespace {

// 2026-11-25T12:00:00Z
const WallTime noon =
    std::chrono::sys_days{std::chrono::year{2026} / 11 / 25} + std::chrono::hours{12};

Thing pump() {
  Thing thing;
  thing.texts = {{"id", "pump-7"},
                 {"state", "enrolled"},
                 {"tags", "lab"},
                 {"tags", "red"},
                 {"model", "pi4"},
                 {"name", "Feed pump, North Hall"},
                 {"attributes.site", "north-2"},
                 {"attributes.floor", "3"},
                 {"attributes.fw", "1.2.10"},
                 {"attributes.a:b", "x y"}};
  thing.others = {{"online", true},
                  {"load", 2.5},
                  {"lastSeen", noon - std::chrono::days{8}},
                  {"createdAt", noon}};
  return thing;
}

bool holds(std::string_view text) {
  const auto parsed = parse(text);
  REQUIRE_MESSAGE(parsed.has_value(), text << ": " << (parsed ? "" : parsed.error().what));
  return parsed->matches(pump(), noon);
}

struct Case {
  const char* text;
  bool expected;
};

void check_all(std::initializer_list<Case> cases) {
  for (const Case& one : cases) {
    CAPTURE(one.text);
    CHECK(holds(one.text) == one.expected);
  }
}

}  // namespace

TEST_CASE("the example of the design is understood") {
  check_all({
      {"state:enrolled tags:lab attributes.site:north* NOT online:false lastSeen<-7d", true},
      {"state:enrolled tags:lab attributes.site:north* NOT online:true lastSeen<-7d", false},
      {"state:enrolled tags:lab model:(pi3 OR pi4) \"north hall\" id:pump-*", true},
      {"", true},
      {" \t\n", true},
  });
}

TEST_CASE("AND binds before OR, NOT before both, brackets before all") {
  check_all({
      {"state:x OR tags:lab model:pi4", true},
      {"tags:lab OR state:x AND state:y", true},
      {"(tags:lab OR state:x) AND state:y", false},
      {"NOT state:x state:enrolled", true},
      {"NOT (state:x OR state:enrolled)", false},
      {"NOT NOT state:enrolled", true},
      {"((((state:enrolled))))", true},
      {"NOT state:x OR state:x", true},
      {"state:x OR NOT state:x AND tags:lab", true},
  });
}

TEST_CASE("a field with several values matches when one does, NOT when none does") {
  check_all({
      {"tags:lab", true},
      {"tags:red", true},
      {"tags:blue", false},
      {"NOT tags:lab", false},
      {"NOT tags:blue", true},
      {"tags:(lab AND red)", true},
      {"tags:(lab red)", true},
      {"tags:(lab AND blue)", false},
      {"tags:(blue OR NOT green)", true},
      {"tags:(blue OR (lab AND NOT green))", true},
      {"nothing:x", false},
      {"NOT nothing:x", true},
  });
}

TEST_CASE("wildcards stand anywhere in a word, and * alone asks whether there is a value") {
  check_all({
      {"id:pump-*", true},
      {"id:*7", true},
      {"id:p*-*7", true},
      {"id:*", true},
      {"id:pump-7*", true},
      {"id:pump-7", true},
      {"id:pump", false},
      {"id:*x*", false},
      {"id:p*p", false},
      {"id:pu**7", true},
      {"id:\"pump-*\"", false},
      {"id:pump-\\*", false},
      {"id:PUMP-*", false},
      {"attributes.site:*", true},
      {"attributes.none:*", false},
      {"NOT attributes.none:*", true},
      {"online:*", true},
      {"id:pump*ump-7", false},
      {"createdAt:*", true},
  });
}

TEST_CASE("numbers, booleans and versions compare as what they are") {
  check_all({
      {"load:2.5", true},
      {"load:2.50", true},
      {"load>2", true},
      {"load>=2.5", true},
      {"load<2.5", false},
      {"load<=25e-1", true},
      {"load:[2 TO 3]", true},
      {"load:[* TO 2.4]", false},
      {"load:[2.5 TO *]", true},
      {"load:[* TO *]", true},
      {"load:x", false},
      {"online:true", true},
      {"online:false", false},
      {"online:\"true\"", false},
      {"online>false", false},
      {"attributes.floor>2", true},
      {"attributes.floor<10", true},
      {"attributes.floor:3", true},
      {"attributes.floor:03", false},
      {"attributes.fw>1.2.9", true},
      {"attributes.fw<1.10.1", true},
      {"attributes.fw:[1.2 TO 1.3]", true},
      {"id:[pump-2 TO pump-10]", true},
      {"id>pump-6", true},
      {"attributes.site<north-10", true},
  });
}

TEST_CASE("times are periods or distances from now") {
  check_all({
      {"createdAt:2026-11-25", true},
      {"createdAt:2026-11-24", false},
      {"createdAt:2026-11-25T12:00", true},
      {"createdAt:2026-11-25T12:00:00Z", true},
      {"createdAt:2026-11-25T13:00:00+01:00", true},
      {"createdAt:2026-11-25T12:00:00.001Z", false},
      {"createdAt<2026-11-25", false},
      {"createdAt<=2026-11-25", true},
      {"createdAt>2026-11-25", false},
      {"createdAt>=2026-11-25", true},
      {"createdAt>2026-11-24", true},
      {"createdAt:[2026-11-25 TO 2026-11-25]", true},
      {"createdAt:[* TO 2026-11-24]", false},
      {"createdAt:now", true},
      {"createdAt<=now createdAt>=now", true},
      {"lastSeen<-7d", true},
      {"lastSeen>-7d", false},
      {"lastSeen:[-2w TO -1w]", true},
      {"lastSeen<\"-7d\"", true},
      {"lastSeen<+1h", true},
      {"lastSeen:soon", false},
  });
}

TEST_CASE("free text is looked for in every text, upper or lower case") {
  check_all({
      {"\"north hall\"", true},
      {"\"NORTH HALL\"", true},
      {"hall", true},
      {"south", false},
      {"feed hall", true},
      {"pump*hall", true},
      {"hall*pump", false},
      {"and", false},
      {"\"AND\"", false},
      {"ENROLLED", true},
      {"*", true},
  });
}

TEST_CASE("escapes and quotes take the meaning away") {
  check_all({
      {"attributes.a\\:b:\"x y\"", true},
      {"attributes.a\\:b:x\\ y", true},
      {"attributes.a\\:b:\"x \\y\"", true},
      {"\\AND", false},
      {"name:\"Feed pump, North Hall\"", true},
      {"name: \"Feed pump, North Hall\"", true},
  });
}

TEST_CASE("times are read strictly") {
  for (const char* good : {"2024-02-29", "0001-01-01", "9999-12-31T23:59:60Z", "-7d", "+90m", "now",
                           "2026-11-25T10:30:00.123456789+14:00", "-0s", "2026-11-25t10:30z"}) {
    CAPTURE(good);
    CHECK(parse_time_literal(good).has_value());
  }
  for (const char* bad : {"2023-02-29", "0000-01-01", "2026-13-01", "2026-1-1", "2026-11-25T",
                          "2026-11-25T24:00Z", "2026-11-25T10", "2026-11-25T10:30:00.", "7d", "-d",
                          "--7d", "-7y", "-99999999d", "2026-11-25T10:30+1:00", "2026-11-25 10:30",
                          "2026-11-25T10:30:00.1234567890Z", "20261125", ""}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_time_literal(bad).has_value());
  }
  const auto fraction = parse_time_literal("1970-01-01T00:00:00.0259Z");
  REQUIRE(fraction);
  CHECK(epoch_milliseconds(fraction->begin) == 25);
  CHECK(epoch_milliseconds(fraction->end) == 26);
}

TEST_CASE("numbers are finite decimals") {
  CHECK(parse_number("-1.5e3") == -1500);
  CHECK(parse_number("+2") == 2);
  for (const char* bad : {"", "+", "+-1", "0x10", "inf", "nan", "1e999", "1 ", "1,5"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_number(bad).has_value());
  }
}

TEST_CASE("what makes no sense is an error with its place and a sentence") {
  struct Bad {
    std::string text;
    std::size_t offset;
    const char* part;
  };
  const Bad cases[] = {
      {"state:", 6, "value is missing"},
      {"state: AND tags:x", 7, "value is missing"},
      {"(state:x", 0, "never closed"},
      {"state:x)", 7, "closes nothing"},
      {"tags:(a OR b", 5, "never closed"},
      {"a \"b", 2, "never closed"},
      {"state:x AND", 11, "condition is missing"},
      {"state:x OR", 10, "condition is missing"},
      {"OR state:x", 0, "condition is missing before"},
      {"NOT", 3, "condition is missing"},
      {"()", 1, "condition is missing"},
      {":x", 0, "field's name is missing"},
      {"<5", 0, "field's name is missing"},
      {"state=x", 5, "field:value"},
      {"12:30", 0, "no field's name"},
      {"\"a\":b", 0, "no field's name"},
      {"st*te:x", 0, "no field's name"},
      {"load:[1 2]", 8, "[low TO high]"},
      {"load:[1 TO 2", 12, "ends with ]"},
      {"load:[1 TO]", 10, "value is missing"},
      {"load:[a* TO b]", 6, "end of a range"},
      {"load:[1 TO (2)]", 11, "value is missing"},
      {"load<1*", 5, "wildcard"},
      {"load<[1 TO 2]", 5, "value is missing"},
      {"x TO y", 2, "TO stands only"},
      {"a\\", 1, "backslash"},
      {std::string{"a\0b", 3}, 1, "control"},
      {"a\x7f", 1, "control"},
      {"state:\x01", 6, "control"},
      {"\"a\x01\"", 2, "control"},
      {"]", 0, "condition is missing"},
  };
  for (const Bad& bad : cases) {
    CAPTURE(bad.text);
    const auto parsed = parse(bad.text);
    REQUIRE_FALSE(parsed.has_value());
    CHECK(parsed.error().offset == bad.offset);
    CHECK_MESSAGE(parsed.error().what.find(bad.part) != std::string::npos, parsed.error().what);
  }
}

TEST_CASE("length, values and depth are capped") {
  const auto repeat = [](std::string_view text, std::size_t count) {
    std::string all;
    for (std::size_t index = 0; index < count; ++index) {
      all += text;
    }
    return all;
  };
  CHECK(parse(repeat("x ", filter_terms_max)).has_value());
  CHECK_FALSE(parse(repeat("x ", filter_terms_max + 1)).has_value());
  CHECK(parse(repeat("(", filter_depth_max) + "x" + repeat(")", filter_depth_max)).has_value());
  CHECK_FALSE(parse(repeat("(", filter_depth_max + 1) + "x" + repeat(")", filter_depth_max + 1))
                  .has_value());
  CHECK(parse(repeat("NOT ", filter_depth_max) + "x").has_value());
  CHECK_FALSE(parse(repeat("NOT ", filter_depth_max + 1) + "x").has_value());
  CHECK_FALSE(parse("tags:" + repeat("(", filter_depth_max + 1) + "x").has_value());
  CHECK(parse("id:" + std::string(filter_bytes_max - 3, 'x')).has_value());
  CHECK_FALSE(parse("id:" + std::string(filter_bytes_max - 2, 'x')).has_value());
}

TEST_CASE("unknown fields and impossible comparisons are found") {
  const auto kind_of = [](std::string_view field) -> std::optional<FieldKind> {
    if (field == "id" || field.starts_with("attributes.")) {
      return FieldKind::text;
    }
    if (field == "lastSeen") {
      return FieldKind::time;
    }
    if (field == "online") {
      return FieldKind::boolean;
    }
    return field == "load" ? std::optional{FieldKind::number} : std::nullopt;
  };
  for (const char* good : {"", "id:x", "text", "attributes.any:thing", "lastSeen<-7d", "online:*",
                           "online:false", "load:[1 TO *]", "lastSeen:[* TO now]"}) {
    CAPTURE(good);
    CHECK_FALSE(check(*parse(good), kind_of));
  }
  const std::pair<const char*, const char*> bad[] = {
      {"id:x OR NOT (idd:x)", "there is no field \"idd\""},
      {"lastSeen<soon", "\"lastSeen\" is a time"},
      {"lastSeen:[now TO then]", "is a time"},
      {"lastSeen:2026*", "is a time"},
      {"online:yes", "either true or false"},
      {"online>true", "either true or false"},
      {"load:many", "\"load\" is a number"},
      {"load:[a TO 2]", "is a number"},
      {"evil\\<\\>:x", "this field"},
  };
  for (const auto& [text, part] : bad) {
    CAPTURE(text);
    const auto error = check(*parse(text), kind_of);
    REQUIRE(error);
    CHECK_MESSAGE(error->what.find(part) != std::string::npos, error->what);
  }
  CHECK(check(*parse("id:x OR NOT (idd:x)"), kind_of)->offset == 13);
}
