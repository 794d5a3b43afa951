// SenML: the examples of RFC 8428, its base fields, and what is refused.
#include "twin/senml.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/limits.hpp"

namespace skerry::twin {
namespace {

constexpr std::int64_t now_ms = 1'700'000'000'000;
const WallTime arrival = wall_from_epoch(now_ms);

std::string text_of(const Sample& sample, std::string_view unit) {
  std::string out = std::string(sample.key);
  if (sample.timestamp != now_ms) {
    out += "@" + std::to_string(sample.timestamp);
  }
  out += sample.flags != 0 ? "!=" : "=";
  if (const auto* integer = std::get_if<std::int64_t>(&sample.value)) {
    out += std::to_string(*integer);
  } else if (const auto* real = std::get_if<double>(&sample.value)) {
    out += doctest::toString(*real).c_str();
  } else if (const auto* boolean = std::get_if<bool>(&sample.value)) {
    out += *boolean ? "true" : "false";
  } else {
    out.append("'").append(std::get<std::string_view>(sample.value)).append("'");
  }
  return unit.empty() ? out : out.append("[").append(unit).append("]");
}

std::string text_of(const Result<SenmlPack, TelemetryError>& pack) {
  if (pack.has_error()) {
    return std::string("error: ") + pack.error().what;
  }
  std::string out;
  CHECK((pack->units.empty() || pack->units.size() == pack->samples.size()));
  for (std::size_t i = 0; i < pack->samples.size(); ++i) {
    out += i == 0 ? "" : " ";
    out += text_of(pack->samples[i], pack->units.empty() ? std::string_view{} : pack->units[i]);
  }
  return out;
}

std::string json(std::string_view payload, std::string_view device = "d1") {
  SenmlParser parser;
  return text_of(parser.parse_json(device, as_bytes(payload), arrival));
}

std::string bytes_of(std::string_view digits) {
  std::string out;
  std::string pair;
  for (const char c : digits) {
    if (c != ' ') {
      pair.push_back(c);
    }
    if (pair.size() == 2) {
      out.push_back(static_cast<char>(std::stoi(pair, nullptr, 16)));
      pair.clear();
    }
  }
  CHECK(pair.empty());
  return out;
}

std::string cbor(std::string_view digits, std::string_view device = "d1") {
  SenmlParser parser;
  const std::string payload = bytes_of(digits);
  return text_of(parser.parse_cbor(device, as_bytes(payload), arrival));
}

TEST_CASE("the examples of RFC 8428 section 5.1 under the device's own name") {
  CHECK(json(R"([{"n":"urn:skerry:device:d1:temp","u":"Cel","v":23.1}])") == "temp=23.1[Cel]");
  CHECK(json(R"([{"bn":"urn:skerry:device:d1:","n":"voltage","u":"V","v":120.1},
                 {"n":"current","u":"A","v":1.2}])") == "voltage=120.1[V] current=1.2[A]");
  CHECK(json(R"([{"bn":"urn:skerry:device:d1:","bt":1.276020076001e+09,"bu":"A","bver":5,
                  "n":"voltage","u":"V","v":120.1},
                 {"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.3},
                 {"n":"current","v":1.7}])") ==
        "voltage@1276020076001!=120.1[V] current@1276020071001!=1.2[A] "
        "current@1276020072001!=1.3[A] current@1276020076001!=1.7[A]");
  CHECK(json(R"([{"bn":"urn:skerry:device:d1:","n":"temp","u":"Cel","v":23.1},
                 {"n":"label","vs":"Machine Room"},{"n":"open","vb":false},
                 {"n":"nfc-reader","vd":"aGkgCg"}])") ==
        "temp=23.1[Cel] label='Machine Room' open=false nfc-reader='aGkgCg'");
}

TEST_CASE("the CBOR example of RFC 8428 section 6 under the device's own name") {
  // -2: "urn:skerry:device:d1:"
  const std::string name = "21 75 75726e3a736b657272793a6465766963653a64313a ";
  CHECK(cbor("87 a7" + name +
             "22 fb 41d303a15b001062 23 61 41 20 05 00 67 766f6c74616765 01 61 56"
             "02 fb 405e066666666666"
             "a3 00 67 63757272656e74 06 24 02 fb 3ff3333333333333"
             "a3 00 67 63757272656e74 06 23 02 fb 3ff4cccccccccccd"
             "a3 00 67 63757272656e74 06 22 02 fb 3ff6666666666666"
             "a3 00 67 63757272656e74 06 21 02 f9 3e00"
             "a3 00 67 63757272656e74 06 20 02 fb 3ff999999999999a"
             "a3 00 67 63757272656e74 06 00 02 fb 3ffb333333333333") ==
        "voltage@1276020076001!=120.1[V] current@1276020071001!=1.2[A] "
        "current@1276020072001!=1.3[A] current@1276020073001!=1.4[A] "
        "current@1276020074001!=1.5[A] current@1276020075001!=1.6[A] "
        "current@1276020076001!=1.7[A]");
}

TEST_CASE("the name must be the device's own: threat 15") {
  constexpr std::string_view foreign =
      "error: a SenML name does not begin with the device's own id and ':' or '/'";
  const auto with_base = [](const std::string& name) {
    return json(R"([{"bn":")" + name + R"(","n":"a","v":1}])");
  };
  CHECK(with_base("") == "a=1");
  CHECK(with_base("d1:") == "a=1");
  CHECK(with_base("d1/") == "a=1");
  CHECK(with_base("urn:skerry:device:d1/") == "a=1");
  CHECK(with_base("d1:room/") == "room/a=1");
  for (const char* name : {"d2:", "d10:", "d1", "d1-2:", "d1.", "d1_", "D1:", "urn:dev:ow:10e2:",
                           "urn:skerry:device:d2:", "urn:skerry:device:d1",
                           "urn:skerry:device:", "urn:skerry:service:d1:", "d", ":"}) {
    CAPTURE(name);
    CHECK(with_base(name) == foreign);
  }
  // Base name and name are one text: what counts is what they are together.
  CHECK(json(R"([{"bn":"d1","n":":a","v":1}])") == "a=1");
  CHECK(json(R"([{"bn":"d","n":"1:a","v":1}])") == "a=1");
  CHECK(json(R"([{"bn":"d1","n":"0:a","v":1}])") == foreign);
  CHECK(json(R"([{"bn":"d1:","n":"a","v":1},{"bn":"d2:","n":"b","v":2}])") == foreign);
  // A name without base is the device's key, unless it claims to be somebody else's URN.
  CHECK(json(R"([{"n":"d2:a","v":1}])") == "d2:a=1");
  CHECK(json(R"([{"n":"urn:skerry:device:d2:a","v":1}])") == foreign);
  CHECK(json(R"([{"bn":"d1:","n":"a","v":1},{"bn":"","n":"b","v":2}])") == "a=1 b=2");
}

TEST_CASE("names keep to the characters of RFC 8428 and to the cap of keys") {
  constexpr std::string_view bad =
      "error: a SenML name holds a character that RFC 8428 does not allow";
  CHECK(json(R"([{"n":"A-z0:.9/_","v":1}])") == "A-z0:.9/_=1");
  for (const char* name : {"a b", "a+", "ä", "_a", "-a", "a\\u0000b", "a~"}) {
    CAPTURE(name);
    CHECK(json(std::string(R"([{"n":")") + name + R"(","v":1}])") == bad);
  }
  CHECK(json(R"([{"bn":"a.b~c:","n":"t","v":1}])", "a.b~c") == "t=1");
  CHECK(json(R"([{"v":1}])") == "error: a SenML record names no measurement of the device");
  CHECK(json(R"([{"n":"d1","v":1}])") ==
        "error: a SenML record names no measurement of the device");
  const std::string key(telemetry_key_bytes_max, 'k');
  CHECK(json(R"([{"bn":"d1:","n":")" + key + R"(","v":1}])") == key + "=1");
  CHECK(json(R"([{"n":"k)" + key + R"(","v":1}])") == "error: a key is too long");
}

TEST_CASE("times below 2^28 are relative to the arrival") {
  CHECK(json(R"([{"n":"a","t":0,"v":1}])") == "a=1");
  CHECK(json(R"([{"n":"a","t":-10.5,"v":1}])") == "a@1699999989500=1");
  CHECK(json(R"([{"n":"a","t":60,"v":1}])") == "a@1700000060000=1");
  CHECK(json(R"([{"bt":-100,"n":"a","t":90,"v":1}])") == "a@1699999990000=1");
  CHECK(json(R"([{"n":"a","t":268435455,"v":1}])") == "a@1968435455000!=1");
  CHECK(json(R"([{"n":"a","t":268435456,"v":1}])") == "a@268435456000!=1");
  CHECK(json(R"([{"n":"a","t":1700000000.001,"v":1}])") == "a@1700000000001=1");
  for (const char* t : {"1e300", "-1e300", "1e12", "9223372036854775807", "-9223372036854775808"}) {
    CAPTURE(t);
    CHECK(json(std::string(R"([{"n":"a","t":)") + t + R"(,"v":1}])") ==
          "error: a SenML time lies outside the years 1 to 9999");
  }
}

TEST_CASE("base values and sums are added") {
  CHECK(json(R"([{"bv":20,"n":"a","v":1.5},{"n":"b","v":1},{"n":"c"},{"n":"d","vs":"x"}])") ==
        "a=21.5 b=21 c=20 d='x'");
  CHECK(json(R"([{"bv":9223372036854775807,"n":"a","v":1}])") == "a=9.22337e+18");
  CHECK(json(R"([{"bs":100,"n":"e","u":"W","s":5},{"n":"f","u":"W","v":2,"s":1}])") ==
        "e.sum=105[W*s] f=2[W] f.sum=101[W*s]");
  CHECK(json(R"([{"bs":7,"n":"g"}])") == "g.sum=7");
  CHECK(json(R"([{"n":"a","v":1e308},{"bv":1e308,"n":"a","v":1e308}])") ==
        "error: a number is not finite");
  CHECK(json(R"([{"bn":"d1:","bt":1700000000,"bv":1}])").empty());
}

TEST_CASE("several values of one instant all survive") {
  CHECK(json(R"([{"n":"a","t":1700000000,"v":1},{"n":"a","t":1700000000,"v":2},
                 {"n":"a","t":1700000000,"v":2}])") == "a=1 a=2 a=2");
}

TEST_CASE("what breaks the rules of a record is refused") {
  const auto refused = [](std::string_view record) {
    const std::string answer = json("[" + std::string(record) + "]");
    CHECK(answer.starts_with("error: "));
    return answer.substr(answer.starts_with("error: ") ? 7 : 0);
  };
  CHECK(refused(R"({"n":"a"})") == "a SenML record has no value and no sum");
  CHECK(refused(R"({"n":"a","v":1,"vs":"x"})") ==
        "a SenML record has more than one of v, vs, vb and vd");
  CHECK(refused(R"({"n":"a","v":1,"v":2})") == "a SenML record gives a field twice");
  CHECK(refused(R"({"n":"a","v":"1"})") == "a SenML field has a value of the wrong type");
  CHECK(refused(R"({"n":"a","vb":1})") == "a SenML field has a value of the wrong type");
  CHECK(refused(R"({"n":7,"v":1})") == "a SenML field has a value of the wrong type");
  CHECK(refused(R"({"n":"a","v":null})") == "a SenML field holds a kind of value that it may not");
  CHECK(refused(R"({"n":"a","v":[1]})") == "a SenML field holds a kind of value that it may not");
  CHECK(refused(R"({"n":"a","v":18446744073709551615})") ==
        "an integer does not fit into 64 bits with sign");
  CHECK(refused(R"({"n":"a","vd":"a=b"})") == "vd is not base64url without padding");
  CHECK(refused(R"({"n":"a","vd":"aaaaa"})") == "vd is not base64url without padding");
  CHECK(refused(R"({"n":"a","v":1,"x_":1})") == "a SenML field that must be understood is unknown");
  CHECK(refused(R"({"bver":11,"n":"a","v":1})") ==
        "bver is not a version that is understood (1 to 10)");
  CHECK(refused(R"({"bver":0,"n":"a","v":1})") ==
        "bver is not a version that is understood (1 to 10)");
  CHECK(refused(R"({"bver":5,"n":"a","v":1},{"bver":10,"n":"a","v":1})") ==
        "the records of a pack have different bver");
  CHECK(refused("1") == "a SenML pack must be an array of objects");
  CHECK(refused("") == "a SenML pack has no records");
  CHECK(json(R"({"n":"a","v":1})") == "error: a SenML pack must be an array of objects");
  CHECK(json("") == "error: the payload is empty");
  CHECK(json(R"([{"n":"a","v":1,"x":{"y":[1]},"ut":60}])") == "a=1");
}

TEST_CASE("caps of SenML") {
  std::string records;
  for (std::size_t i = 0; i <= senml_records_max; ++i) {
    records += (i == 0 ? "" : ",") + std::string(R"({"n":"a","v":1})");
  }
  CHECK(json("[" + records + "]") == "error: there are too many records in one SenML pack");
  const std::string unit(telemetry_unit_bytes_max, 'u');
  CHECK(json(R"([{"n":"a","v":1,"u":")" + unit + R"("}])") == "a=1[" + unit + "]");
  CHECK(json(R"([{"n":"a","v":1,"u":")" + unit + R"(u"}])") == "error: a unit is too long");
  const std::string text(telemetry_string_bytes_max + 1, 't');
  CHECK(json(R"([{"n":"a","vs":")" + text + R"("}])") == "error: a string value is too long");
  CHECK(json(std::string(100, '[')).starts_with("error: "));
}

TEST_CASE("CBOR numbers of all kinds") {
  const auto value = [](const std::string& digits) { return cbor("81 a2 00 61 61 02" + digits); };
  CHECK(value("00") == "a=0");
  CHECK(value("37") == "a=-24");
  CHECK(value("18 ff") == "a=255");
  CHECK(value("1b 7fffffffffffffff") == "a=9223372036854775807");
  CHECK(value("3b 7fffffffffffffff") == "a=-9223372036854775808");
  CHECK(value("1b 8000000000000000") == "error: an integer does not fit into 64 bits with sign");
  CHECK(value("3b 8000000000000000") == "error: an integer does not fit into 64 bits with sign");
  CHECK(value("f9 4d60") == "a=21.5");
  CHECK(value("fa 41ac0000") == "a=21.5");
  CHECK(value("fb 4035800000000000") == "a=21.5");
  for (const char* digits :
       {"f9 7e00", "f9 7c00", "fa 7f800000", "fb 7ff8000000000000", "fb fff0000000000000"}) {
    CHECK(value(digits) == "error: a number is not finite");
  }
  CHECK(value("c4 82 20 18 d7") == "a=21.5");
  CHECK(value("c4 82 00 18 d7") == "a=215");
  CHECK(value("c4 82 1a ffffffff 01") == "error: a decimal fraction is malformed or too large");
  CHECK(value("c4 82 19 0190 01") == "error: a decimal fraction is malformed or too large");
  CHECK(value("c2 41 01") == "error: a CBOR tag is not accepted here");
  CHECK(value("f6") == "error: a SenML field holds a kind of value that it may not");
  CHECK(value("80") == "error: a SenML field holds a kind of value that it may not");
}

TEST_CASE("CBOR lengths without a beginning, texts as labels, data as bytes") {
  CHECK(cbor("9f bf 00 61 61 02 01 ff ff") == "a=1");
  CHECK(cbor("81 a2 61 6e 61 61 61 76 01") == "a=1");
  CHECK(cbor("81 a2 00 7f 61 61 61 62 ff 03 7f 61 78 60 ff") == "ab='x'");
  CHECK(cbor("81 a2 00 61 61 08 44 68 69 20 0a") == "a='aGkgCg'");
  CHECK(cbor("81 a2 00 61 61 08 5f 42 68 69 42 20 0a ff") == "a='aGkgCg'");
  CHECK(cbor("81 a2 00 61 61 04 f5") == "a=true");
  CHECK(cbor("81 a2 00 61 61 08 66 61476b674367") ==
        "error: a SenML field has a value of the wrong type");
}

TEST_CASE("unknown CBOR fields are passed over, whatever they hold") {
  const auto with = [](const std::string& digits) {
    return cbor("81 a3 18 63" + digits + "00 61 61 02 01");
  };
  // The map says three pairs: label 99, then n, then v.
  CHECK(with("01") == "a=1");
  CHECK(with("83 01 82 02 03 a1 04 05") == "a=1");
  CHECK(with("bf 01 9f 02 ff ff") == "a=1");
  CHECK(with("c1 fb 41d303a15b001062") == "a=1");
  CHECK(with("5f 41 00 ff") == "a=1");
  CHECK(with("a0") == "a=1");
  CHECK(with("9f 80 ff") == "a=1");
  CHECK(with("81 81 81 81 81 81 81 81 00") == "a=1");
  CHECK(with("81 81 81 81 81 81 81 81 81 00") == "error: the payload is nested too deep");
  constexpr std::string_view malformed = "error: the payload is not CBOR or was cut short";
  CHECK(with("bf 01 ff") == malformed);
  CHECK(with("ff") == malformed);
  CHECK(with("9b ffffffffffffffff 00") == malformed);
  CHECK(with("bb ffffffffffffffff 00") == malformed);
  CHECK(cbor("81 a3 62 78 5f 01 00 61 61 02 01") ==
        "error: a SenML field that must be understood is unknown");
}

TEST_CASE("CBOR that is cut short or not a pack is refused at every length") {
  const std::string whole = "82 a3 21 63 64313a 00 61 61 02 f9 4d60 a2 00 61 62 03 7f 61 78 ff";
  CHECK(cbor(whole) == "a=21.5 b='x'");
  const std::string bytes = bytes_of(whole);
  SenmlParser parser;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK(parser.parse_cbor("d1", as_bytes(std::string_view(bytes).substr(0, size)), arrival)
              .has_error());
  }
  CHECK(cbor(whole + "00") == "error: there are bytes behind the SenML pack");
  CHECK(cbor("80") == "error: a SenML pack has no records");
  CHECK(cbor("a0") == "error: a SenML pack must be an array of maps");
  CHECK(cbor("81 80") == "error: a SenML pack must be an array of maps");
  CHECK(cbor("81 a1 f5 01") == "error: a SenML label must be an integer or a text");
  CHECK(cbor("81 a2 00 62 c328 02 01") == "error: a text is not valid UTF-8");
  CHECK(cbor("81 a2 00 7b ffffffffffffffff 61") ==
        "error: the payload is not CBOR or was cut short");
}

TEST_CASE("a parser goes on after a mistake") {
  SenmlParser parser;
  const auto run = [&parser](std::string_view payload) {
    return text_of(parser.parse_json("d1", as_bytes(payload), arrival));
  };
  CHECK(run(R"([{"bn":"d1:","bt":100,"bu":"V","bv":7,"bs":1,"bver":5,"n":"a","v":1,"x_":1}])")
            .starts_with("error"));
  CHECK(run(R"([{"n":"a","v":1,"bver":10}])") == "a=1");
}

}  // namespace
}  // namespace skerry::twin
