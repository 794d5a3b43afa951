// Topic names, filters, shared filters, matching and covering; well-formed UTF-8.
#include "mqtt/topic.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/limits.hpp"

namespace skerry::mqtt {
namespace {

using namespace std::string_view_literals;

struct Pair {
  std::string_view filter;
  std::string_view name;
  bool expected;
};

const std::vector<Pair> match_table{
    {"a", "a", true},
    {"a", "b", false},
    {"a", "A", false},
    {"a", "a/b", false},
    {"a/b", "a", false},
    {"a/b", "a/b", true},
    {"a/", "a", false},
    {"a", "a/", false},
    {"a/", "a/", true},
    {"/a", "a", false},
    {"/a", "/a", true},
    {"a//b", "a//b", true},
    {"a//b", "a/b", false},
    {"a", "ab", false},
    {"ab", "a", false},
    {"#", "a", true},
    {"#", "a/b/c", true},
    {"#", "/", true},
    {"a/#", "a", true},
    {"a/#", "a/", true},
    {"a/#", "a/b", true},
    {"a/#", "a/b/c", true},
    {"a/#", "ab", false},
    {"a/#", "b/a", false},
    {"a/b/#", "a", false},
    {"a/b/#", "a/b", true},
    {"a/b/#", "a/bc", false},
    {"+", "a", true},
    {"+", "a/b", false},
    {"+", "/a", false},
    {"+/+", "/a", true},
    {"/+", "/a", true},
    {"+/+", "a", false},
    {"+/+", "a/b", true},
    {"+/+", "a/b/c", false},
    {"a/+", "a", false},
    {"a/+", "a/", true},
    {"a/+", "a/b", true},
    {"a/+", "a/b/c", false},
    {"a/+/c", "a/b/c", true},
    {"a/+/c", "a//c", true},
    {"a/+/c", "a/b/d", false},
    {"a/+/c", "a/c", false},
    {"+/b/#", "a/b", true},
    {"+/b/#", "a/b/c/d", true},
    {"+/b/#", "/b", true},
    {"+/#", "a", true},
    {"+/#", "a/b", true},
    {"+/+/#", "a", false},
    {"a/+/#", "a", false},
    {"a/+/#", "a/b", true},
    // [MQTT-4.7.2-1]
    {"#", "$SYS", false},
    {"#", "$SYS/x", false},
    {"+/x", "$SYS/x", false},
    {"+", "$SYS", false},
    {"$SYS/#", "$SYS/x", true},
    {"$SYS/#", "$SYS", true},
    {"$SYS/+", "$SYS/x", true},
    {"$SYS/x", "$SYS/x", true},
    {"a/#", "a/$SYS", true},
    {"a/+", "a/$SYS", true},
    {"/#", "/$SYS", true},
    // The specification's own examples, section 4.7.1.2 and 4.7.1.3
    {"sport/tennis/player1/#", "sport/tennis/player1", true},
    {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
    {"sport/tennis/+", "sport/tennis/player1/ranking", false},
    {"sport/+", "sport", false},
    {"sport/+", "sport/", true},
};

TEST_CASE("filters match names as section 4.7 says") {
  for (const Pair& row : match_table) {
    CAPTURE(row.filter);
    CAPTURE(row.name);
    CHECK(matches(row.filter, row.name) == row.expected);
  }
}

TEST_CASE("covers() says whether every match of one filter is a match of the other") {
  const std::vector<Pair> table{
      {"a/#", "a/+", true},       {"a/#", "a", true},      {"a/#", "a/b/c", true},
      {"a/#", "a/#", true},       {"a/#", "a/b/#", true},  {"a/+", "a/#", false},
      {"a/+", "a/b", true},       {"a/+", "a/+", true},    {"a/b", "a/+", false},
      {"#", "a/#", true},         {"#", "+", true},        {"#", "#", true},
      {"+", "#", false},          {"+/#", "#", true},      {"+/#", "a", true},
      {"+/+/#", "#", false},      {"a/+/#", "a/#", false}, {"a/+/#", "a/+", true},
      {"#", "$SYS/#", false},     {"+/#", "$SYS", false},  {"$SYS/#", "$SYS/x", true},
      {"$SYS/#", "$SYS/#", true}, {"+/x", "+/x", true},    {"a", "b", false},
      {"a", "a/b", false},        {"a/b", "a", false},     {"+/b", "a/b", true},
      {"a/+/c", "a/b/c", true},   {"a/+/c", "a/#", false}, {"#", "/", true},
      {"/#", "/a", true},         {"/#", "/", true},       {"/+", "/#", false},
  };
  for (const Pair& row : table) {
    CAPTURE(row.filter);
    CAPTURE(row.name);
    CHECK(covers(row.filter, row.name) == row.expected);
  }
}

TEST_CASE("a filter that covers another matches whatever that one matches") {
  std::vector<std::string_view> filters;
  std::vector<std::string_view> names;
  for (const Pair& row : match_table) {
    filters.push_back(row.filter);
    names.push_back(row.name);
  }
  for (const std::string_view wide : filters) {
    for (const std::string_view narrow : filters) {
      if (covers(wide, narrow)) {
        for (const std::string_view name : names) {
          CAPTURE(wide);
          CAPTURE(narrow);
          CAPTURE(name);
          CHECK((!matches(narrow, name) || matches(wide, name)));
        }
      }
    }
  }
}

std::string levels(std::size_t count) {
  std::string text = "a";
  for (std::size_t i = 1; i < count; ++i) {
    text += "/a";
  }
  return text;
}

TEST_CASE("topic names") {
  for (const auto name : {"a"sv, "/"sv, "a/b"sv, "$SYS/a"sv, " "sv, "a b"sv, "caf\xC3\xA9"sv}) {
    CHECK(is_valid_topic_name(name));
  }
  for (const auto name :
       {""sv, "+"sv, "#"sv, "a/+"sv, "a#"sv, "a\0b"sv, "long/enough/for/words/#"sv}) {
    CHECK(!is_valid_topic_name(name));
  }
  CHECK(is_valid_topic_name(levels(topic_levels_max)));
  CHECK(!is_valid_topic_name(levels(topic_levels_max + 1)));
  CHECK(is_valid_topic_name(std::string(65'535, 'a')));
  CHECK(!is_valid_topic_name(std::string(65'536, 'a')));
}

TEST_CASE("topic filters") {
  for (const auto filter :
       {"a"sv, "/"sv, "#"sv, "+"sv, "a/#"sv, "+/+"sv, "a/+/b/#"sv, "/+"sv, "+/"sv, "$share"sv,
        "$share/g/a"sv, "$share/g/#"sv, "$share/g//"sv, "$SYS/#"sv}) {
    CAPTURE(filter);
    CHECK(is_valid_topic_filter(filter));
  }
  for (const auto filter :
       {""sv, "a#"sv, "#/"sv, "#/a"sv, "a/#/b"sv, "a+"sv, "+a"sv, "a/b+/c"sv, "##"sv, "++"sv,
        "a\0"sv, "$share/"sv, "$share/g"sv, "$share/g/"sv, "$share//a"sv, "$share/+/a"sv,
        "$share/g#/a"sv, "$share/g/a#"sv, "$share/g/$share/h/a"sv}) {
    CAPTURE(filter);
    CHECK(!is_valid_topic_filter(filter));
  }
  CHECK(is_valid_topic_filter(levels(topic_levels_max)));
  CHECK(!is_valid_topic_filter(levels(topic_levels_max + 1)));
  CHECK(is_valid_topic_filter("$share/g/" + levels(topic_levels_max)));
  CHECK(!is_valid_topic_filter("$share/g/" + levels(topic_levels_max + 1)));
  CHECK(!is_valid_topic_filter(std::string(65'536, 'a')));
}

TEST_CASE("a shared filter is cut into group and filter") {
  const auto shared = split_shared("$share/group/a/+/#");
  REQUIRE(shared);
  CHECK(shared->group == "group");
  CHECK(shared->filter == "a/+/#");
  CHECK(split_shared("$share/g//a")->filter == "/a");
  CHECK(!split_shared("a/b"));
  CHECK(!split_shared("$shared/g/a"));
}

TEST_CASE("UTF-8 is well-formed or refused, wherever in the text it stands") {
  const std::vector<std::pair<std::string_view, bool>> table{
      {""sv, true},
      {"\x01"sv, true},
      {"\x7F"sv, true},
      {"\xC2\x80"sv, true},
      {"\xDF\xBF"sv, true},
      {"\xE0\xA0\x80"sv, true},
      {"\xED\x9F\xBF"sv, true},
      {"\xEE\x80\x80"sv, true},
      {"\xEF\xBF\xBF"sv, true},
      {"\xEF\xBB\xBF"sv, true},
      {"\xF0\x90\x80\x80"sv, true},
      {"\xF4\x8F\xBF\xBF"sv, true},
      {"\0"sv, false},
      {"\x80"sv, false},
      {"\xBF"sv, false},
      {"\xC0\x80"sv, false},
      {"\xC1\xBF"sv, false},
      {"\xC2"sv, false},
      {"\xC2\x41"sv, false},
      {"\xC2\xC2"sv, false},
      {"\xE0\x9F\xBF"sv, false},
      {"\xE0\xA0"sv, false},
      {"\xE2\x82"sv, false},
      {"\xED\xA0\x80"sv, false},
      {"\xED\xBF\xBF"sv, false},
      {"\xE1\x80\x41"sv, false},
      {"\xF0\x8F\xBF\xBF"sv, false},
      {"\xF0\x90\x80"sv, false},
      {"\xF4\x90\x80\x80"sv, false},
      {"\xF5\x80\x80\x80"sv, false},
      {"\xF8\x88\x80\x80\x80"sv, false},
      {"\xFE"sv, false},
      {"\xFF"sv, false},
      {"\xED\xA0\xBD\xED\xB8\x80"sv, false},
  };
  for (const auto& [text, valid] : table) {
    for (std::size_t before = 0; before < 18; ++before) {
      for (std::size_t after = 0; after < 18; ++after) {
        const std::string all =
            std::string(before, 'a') + std::string(text) + std::string(after, 'z');
        CAPTURE(all);
        CHECK(is_valid_utf8(all) == valid);
      }
    }
  }
}

}  // namespace
}  // namespace skerry::mqtt
