// Records on disk: what was written is read, and what is cut or damaged anywhere is no record.
#include "device/spool_format.hpp"

#include <doctest/doctest.h>

#include "device/limits.hpp"

using namespace skerry;
using namespace skerry::agent;

namespace {

const SpoolTime at{wall_from_epoch(1'732'536'000'000), Milliseconds{4711}};

TEST_CASE("a record is read as it was written") {
  const std::string bytes = encode_record(at, "body") + "rest";
  const auto record = decode_record(bytes);
  REQUIRE(record);
  CHECK(record->body == "body");
  CHECK(record->time.wall == at.wall);
  CHECK(record->time.since_boot == at.since_boot);
  CHECK(record->bytes == record_header_bytes + 4);
}

TEST_CASE("a record cut at any byte is none") {
  const std::string bytes = encode_record(at, "a body of some length");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(decode_record(std::string_view{bytes}.substr(0, size)));
  }
}

TEST_CASE("a record with any bit turned is none") {
  const std::string bytes = encode_record(at, "body");
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string turned = bytes + std::string(64, 'x');
    turned[bit / 8] = static_cast<char>(turned[bit / 8] ^ (1 << bit % 8));
    CHECK_FALSE(decode_record(turned));
  }
}

TEST_CASE("a length over the cap is no record, however much follows") {
  std::string bytes = encode_record(at, std::string(record_bytes_max + 1, 'x'));
  CHECK_FALSE(decode_record(bytes));
  CHECK(decode_record(encode_record(at, std::string(record_bytes_max, 'x'))));
}

TEST_CASE("headers of segments: written, cut, damaged, of a newer version") {
  BootId boot{};
  boot.fill('b');
  const std::string bytes = encode_segment_header({boot, 77});
  REQUIRE(bytes.size() == segment_header_bytes);
  const auto header = decode_segment_header(bytes);
  REQUIRE(header);
  CHECK(header->first == 77);
  CHECK(header->boot == boot);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(decode_segment_header(std::string_view{bytes}.substr(0, size)));
    std::string turned = bytes;
    turned[size] = static_cast<char>(turned[size] ^ 0x10);
    CHECK_FALSE(decode_segment_header(turned));
  }
}

TEST_CASE("the newer whole position counts, whichever slot it is in") {
  Position older{4, 100, {1, 2, 3, 4}};
  Position newer{5, 120, {1, 2, 3, 5}};
  const auto file = [](const Position& first, const Position& second) {
    std::string bytes = encode_position(first);
    bytes.resize(position_slot_bytes);
    return bytes + encode_position(second);
  };
  CHECK(decode_position(file(older, newer))->done == 120);
  CHECK(decode_position(file(newer, older))->lost == newer.lost);
  std::string torn = file(older, newer);
  torn.pop_back();
  CHECK(decode_position(torn)->done == 100);
  torn = file(newer, older);
  torn[20] = static_cast<char>(torn[20] ^ 1);
  CHECK(decode_position(torn)->done == 100);
  CHECK_FALSE(decode_position(""));
  CHECK_FALSE(decode_position(std::string(2 * position_slot_bytes, 'x')));
}

}  // namespace
