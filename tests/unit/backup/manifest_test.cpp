// What a manifest may say, and every way in which it may not be believed.
#include "backup/manifest.hpp"

#include <doctest/doctest.h>

using namespace skerry;
using namespace skerry::backup;

namespace {

const std::string digest(64, 'a');

Manifest sample() {
  return {"daily",
          wall_from_epoch(1'800'000'000'123),
          "0.1.0",
          1,
          42,
          {{"meta", 1, 20, digest}},
          {{"ca/root.key", 8, digest}, {"store/CURRENT", 16, digest}}};
}

std::string with(const std::string& from, const std::string& to) {
  std::string text = encode_manifest(sample());
  const std::size_t at = text.find(from);
  REQUIRE_MESSAGE(at != std::string::npos, from);
  return text.replace(at, from.size(), to);
}

std::string refusal(const std::string& text) {
  const auto decoded = decode_manifest(text);
  REQUIRE(decoded.has_error());
  return decoded.error().detail;
}

}  // namespace

TEST_CASE("a manifest reads back as what was written") {
  const auto decoded = decode_manifest(encode_manifest(sample()));
  REQUIRE(decoded.has_value());
  CHECK(*decoded == sample());
  CHECK(decoded->bytes() == 24);
}

TEST_CASE("a manifest that cannot be believed is refused with what is wrong") {
  const std::string text = encode_manifest(sample());
  CHECK(refusal("") == "manifest.json cannot be used: it has no JSON object");
  CHECK(refusal("[]") == "manifest.json cannot be used: it has no JSON object");
  CHECK(refusal(text.substr(0, text.size() / 2)).find("no JSON object") != std::string::npos);
  CHECK(refusal(with("\"sequence\":42", "\"sequence\":-1")).find("\"sequence\"") !=
        std::string::npos);
  CHECK(refusal(with("\"sequence\":42", "\"sequence\":\"42\"")).find("\"sequence\"") !=
        std::string::npos);
  CHECK(refusal(with("\"records\":1", "\"records\":1.5")).find("\"records\"") != std::string::npos);
  CHECK(refusal(with("\"name\":\"daily\"", "\"name\":\"../daily\"")).find("\"name\"") !=
        std::string::npos);
  CHECK(refusal(with(digest, std::string(64, 'g'))).find("\"sha256\"") != std::string::npos);
  CHECK(refusal(with(digest, "aa")).find("\"sha256\"") != std::string::npos);
  CHECK(refusal(with("\"files\":[", "\"files\":[1,")).find("\"files\"") != std::string::npos);
  CHECK(refusal(with("\"sequence\"", "\"more\":1,\"sequence\"")).find("unknown member \"more\"") !=
        std::string::npos);
}

TEST_CASE("paths in a manifest stay inside the backup") {
  for (const char* path :
       {"../x", "/etc/passwd", "store/../../x", "store//x", "store/", "store", "store/.hidden",
        "other/x", "store/a\\u0000b", "ca/a b", "manifest.json", "store/./x", "ca/.."}) {
    CAPTURE(path);
    CHECK(refusal(with("ca/root.key", path)).find("leads elsewhere") != std::string::npos);
  }
  CHECK(refusal(with("ca/root.key", "store/CURRENT")).find("twice") != std::string::npos);
  CHECK(refusal(with("ca/root.key", "store/ZZZ")).find("out of order") != std::string::npos);
}

TEST_CASE("what a newer version has made is told apart from damage") {
  const auto manifest = decode_manifest(with("\"format\":1", "\"format\":2,\"new\":true"));
  REQUIRE(manifest.has_error());
  CHECK(manifest.error().code == Code::newer);
  const auto store = decode_manifest(with("\"storeFormat\":1", "\"storeFormat\":99"));
  REQUIRE(store.has_error());
  CHECK(store.error().code == Code::newer);
  CHECK(store.error().detail.find("99") != std::string::npos);
}

TEST_CASE("names of backups are never paths") {
  for (const char* name : {"a", "20261125T175357Z", "before-upgrade_1.2"}) {
    CHECK(is_backup_name(name));
  }
  for (const char* name : {"", ".", "..", ".hidden", "-x", "_x", "a/b", "a b", "a\n", "\xc3\xa4"}) {
    CAPTURE(name);
    CHECK(!is_backup_name(name));
  }
  CHECK(is_backup_name(std::string(64, 'a')));
  CHECK(!is_backup_name(std::string(65, 'a')));
}
