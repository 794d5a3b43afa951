// Rows as text in every form, and buckets that are made up.
#include "twin/row_text.hpp"

#include <doctest/doctest.h>

#include "twin/bucket_fill.hpp"

namespace skerry::twin {
namespace {

RowShape shape_of(AnswerForm form, std::vector<AggregateKind> aggregates = {}) {
  RowShape shape;
  shape.form = form;
  shape.aggregates = std::move(aggregates);
  shape.device = "d1";
  shape.now = 1'700'000'000'000;
  return shape;
}

std::string samples(RowShape shape, const std::optional<std::string>& cursor = {}) {
  RowText text(std::move(shape));
  std::string out;
  text.begin(out);
  text.series(out, "s1", "a\"b", "Cel");
  text.sample(out, 1'700'000'000'000, 21.5, 0);
  text.sample(out, 1, std::int64_t{-3}, 1);
  text.sample(out, 1'700'000'000'020, true, 0);
  text.series(out, "s1", "c,d");
  text.sample(out, 1'700'000'000'300, std::string_view("x\"y\n\x01é"), 0);
  text.sample(out, 1'700'000'000'300, 1e300, 0);
  text.end(out, cursor);
  return out;
}

TEST_CASE("JSON escapes what it must and writes numbers as they came") {
  CHECK(samples(shape_of(AnswerForm::json)) ==
        R"({"series":[{"key":"a\"b","samples":[{"ts":"2023-11-14T22:13:20.000Z","value":21.5},)"
        R"({"ts":"1970-01-01T00:00:00.001Z","value":-3,"flags":["clock_skew"]},)"
        R"({"ts":"2023-11-14T22:13:20.020Z","value":true}]},)"
        R"({"key":"c,d","samples":[{"ts":"2023-11-14T22:13:20.300Z",)"
        R"("value":"x\"y\u000a\u0001é"},)"
        R"({"ts":"2023-11-14T22:13:20.300Z","value":1e+300}]}],"next":null})");
  RowText empty(shape_of(AnswerForm::json));
  std::string out;
  empty.begin(out);
  empty.end(out, "01006b");
  CHECK(out == R"({"series":[],"next":"01006b"})");
}

TEST_CASE("CSV quotes what it must, and names the device when there are several") {
  RowShape shape = shape_of(AnswerForm::csv);
  CHECK(samples(shape) ==
        "key,ts,value,flags\r\n"
        "\"a\"\"b\",2023-11-14T22:13:20.000Z,21.5,\r\n"
        "\"a\"\"b\",1970-01-01T00:00:00.001Z,-3,clock_skew\r\n"
        "\"a\"\"b\",2023-11-14T22:13:20.020Z,true,\r\n"
        "\"c,d\",2023-11-14T22:13:20.300Z,\"x\"\"y\n\x01é\",\r\n"
        "\"c,d\",2023-11-14T22:13:20.300Z,1e+300,\r\n");
  shape.subject = RowSubject::device;
  CHECK(samples(shape).starts_with("device,key,ts,value,flags\r\ns1,\"a\"\"b\",2023"));
}

TEST_CASE("NDJSON has a line per row") {
  RowShape shape = shape_of(AnswerForm::ndjson);
  shape.subject = RowSubject::group;
  const std::string out = samples(shape);
  CHECK(out.starts_with(R"({"group":"s1","key":"a\"b","ts":"2023-11-14T22:13:20.000Z",)"
                        "\"value\":21.5}\n"));
  CHECK(std::count(out.begin(), out.end(), '\n') == 5);
}

TEST_CASE("newest samples are items") {
  RowShape shape = shape_of(AnswerForm::json);
  shape.newest = true;
  shape.subject = RowSubject::device;
  RowText text(shape);
  std::string out;
  text.begin(out);
  for (const char* key : {"a", "b"}) {
    text.series(out, "d1", key);
    text.sample(out, 0, true, 0);
  }
  text.end(out, {});
  CHECK(out == R"({"items":[)"
               R"({"device":"d1","key":"a","ts":"1970-01-01T00:00:00.000Z","value":true},)"
               R"({"device":"d1","key":"b","ts":"1970-01-01T00:00:00.000Z","value":true}],)"
               R"("next":null})");
}

TEST_CASE("SenML says the base name once a device, and old times as relative ones") {
  CHECK(samples(shape_of(AnswerForm::senml)) ==
        R"([{"bn":"urn:skerry:device:d1:","n":"a_b","u":"Cel","t":1700000000,"v":21.5},)"
        R"({"n":"a_b","u":"Cel","t":-1699999999.999,"v":-3},)"
        R"({"n":"a_b","u":"Cel","t":1700000000.020,"vb":true},)"
        R"({"n":"c_d","t":1700000000.300,"vs":"x\"y\u000a\u0001é"},)"
        R"({"n":"c_d","t":1700000000.300,"v":1e+300}])");
}

Aggregate aggregate(double value) {
  return {2, 2, value - 1, value + 1, 2 * value, value - 1, value + 1};
}

TEST_CASE("a bucket says what was asked for, null when it has no number") {
  const std::vector<AggregateKind> all = {
      AggregateKind::average, AggregateKind::minimum, AggregateKind::maximum, AggregateKind::sum,
      AggregateKind::count,   AggregateKind::first,   AggregateKind::last};
  const auto buckets = [&all](AnswerForm form) {
    RowText text(shape_of(form, all));
    std::string out;
    text.begin(out);
    text.series(out, "", "k");
    text.bucket(out, 1'700'000'000'000, values_of(aggregate(5)));
    Aggregate texts;
    texts.count = 3;
    text.bucket(out, 1'700'000'060'000, values_of(texts));
    text.end(out, {});
    return out;
  };
  CHECK(buckets(AnswerForm::json) ==
        R"({"series":[{"key":"k","buckets":[{"ts":"2023-11-14T22:13:20.000Z","avg":5,"min":4,)"
        R"("max":6,"sum":10,"count":2,"first":4,"last":6},{"ts":"2023-11-14T22:14:20.000Z",)"
        R"("avg":null,"min":null,"max":null,"sum":null,"count":3,"first":null,"last":null}]}],)"
        R"("next":null})");
  CHECK(buckets(AnswerForm::csv) ==
        "key,ts,avg,min,max,sum,count,first,last\r\n"
        "k,2023-11-14T22:13:20.000Z,5,4,6,10,2,4,6\r\n"
        "k,2023-11-14T22:14:20.000Z,,,,,3,,\r\n");
  CHECK(buckets(AnswerForm::senml)
            .starts_with(R"([{"bn":"urn:skerry:device:d1:","n":"k.avg","t":1700000000,"v":5},)"
                         R"({"n":"k.min","t":1700000000,"v":4},)"));
}

/// Starts and averages of what comes out when `given` (start, value) goes in, pumped in pieces.
std::string filled(Fill fill, std::vector<std::pair<std::int64_t, double>> given,
                   bool descending = false) {
  TelemetryQuery query;
  query.step = 10;
  query.from = 3;
  query.to = 61;
  query.fill = fill;
  query.descending = descending;
  RowText text(shape_of(AnswerForm::csv, {AggregateKind::average, AggregateKind::count}));
  BucketFill buckets(query, text);
  std::string all;
  const auto pump = [&] {
    for (bool done = false; !done;) {
      std::string out;
      done = buckets.pump(out, 1);
      all += out;
    }
  };
  std::string ignored;
  text.series(ignored, "", "k");
  buckets.start();
  for (const auto& [start, value] : given) {
    buckets.offer(start, values_of(aggregate(value)));
    pump();
  }
  buckets.finish();
  pump();
  std::string out;
  for (std::size_t at = 0; at < all.size(); at = all.find('\n', at) + 1) {
    const std::string line = all.substr(at, all.find('\r', at) - at);
    const std::size_t comma = line.find(',', 2);
    out += (out.empty() ? "" : " ") + line.substr(comma - 3, 2) + "=" + line.substr(comma + 1);
  }
  return out;
}

TEST_CASE("empty buckets are filled as asked, within the range and in order") {
  // 00 … 60 in steps of 10 hundredths: "0.0x0Z".
  CHECK(filled(Fill::none, {{20, 2}, {40, 4}}) == "20=2,2 40=4,2");
  CHECK(filled(Fill::null, {{20, 2}, {40, 4}}) == "00=,0 10=,0 20=2,2 30=,0 40=4,2 50=,0 60=,0");
  CHECK(filled(Fill::previous, {{20, 2}, {40, 4}}) ==
        "00=,0 10=,0 20=2,2 30=2,0 40=4,2 50=4,0 60=4,0");
  CHECK(filled(Fill::linear, {{10, 1}, {40, 4}}) ==
        "00=,0 10=1,2 20=2,0 30=3,0 40=4,2 50=,0 60=,0");
  CHECK(filled(Fill::null, {}) == "00=,0 10=,0 20=,0 30=,0 40=,0 50=,0 60=,0");
  CHECK(filled(Fill::previous, {{0, 1}, {60, 2}}) ==
        "00=1,2 10=1,0 20=1,0 30=1,0 40=1,0 50=1,0 60=2,2");
  CHECK(filled(Fill::previous, {{40, 4}, {20, 2}}, true) ==
        "60=4,0 50=4,0 40=4,2 30=2,0 20=2,2 10=,0 00=,0");
  CHECK(filled(Fill::linear, {{40, 4}, {10, 1}}, true) ==
        "60=,0 50=,0 40=4,2 30=3,0 20=2,0 10=1,2 00=,0");
}

}  // namespace
}  // namespace skerry::twin
