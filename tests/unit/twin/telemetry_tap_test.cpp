// TelemetryTap: which messages it takes, what it says to the others, and that cores do not meet in
// it.
#include "twin/telemetry_tap.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "base/limits.hpp"
#include "twin/device_topic.hpp"
#include "twin/unit_book.hpp"
#include "unit/twin/series_options.hpp"

namespace skerry::twin {
namespace {

using plugin::IdentityKind;
using plugin::PolicyKind;
using plugin::TapVerdict;

const Now now{{}, wall_from_epoch(1'700'000'000'000)};

plugin::Identity identity(IdentityKind kind, PolicyKind policy, std::string name) {
  plugin::Identity out;
  out.kind = kind;
  out.policy = policy;
  out.name = std::move(name);
  return out;
}

mqtt::Publish message(std::string_view topic, std::string_view payload) {
  mqtt::Publish publish;
  publish.topic = topic;
  publish.payload = as_bytes(payload);
  return publish;
}

struct World {
  std::unique_ptr<storage::MemoryStore> kv = storage::MemoryStore::create();
  series::ChunkSeriesStore series{test::series_options(*kv)};
  TelemetryTap tap{series, 2};
  storage::Batch batch;
  plugin::Identity self = identity(IdentityKind::device, PolicyKind::device, "d1");

  plugin::TapResult publish(std::string_view topic, std::string_view payload) {
    return tap.on_publish(self, message(topic, payload), now, batch);
  }
};

TEST_CASE("device ids are the design's and nothing else") {
  for (const std::string_view id : {"a", "0", "A-b_c.d~e", "subx", "pub1", "Health"}) {
    CHECK(is_device_id(id));
  }
  CHECK(is_device_id(std::string(64, 'x')));
  CHECK_FALSE(is_device_id(std::string(65, 'x')));
  for (const std::string_view id :
       {"", "-a", ".a", "_", "~", "a b", "a/b", "a+", "#", "ä", "sub", "pub", "health"}) {
    CHECK_FALSE(is_device_id(id));
  }
  CHECK_FALSE(is_device_id(std::string_view("a\0b", 3)));
}

TEST_CASE("only telemetry topics are the tap's") {
  World world;
  for (const std::string_view topic :
       {"devices/d1/events/x", "devices/d1", "devices//", "devices/d1/telemetry/x", "telemetry",
        "devices/d1/telemetry/", "devices/d1/x/telemetry", "Devices/d1/telemetry", "",
        "devices/d1/telemetryx"}) {
    CAPTURE(topic);
    CHECK(world.publish(topic, "{\"a\":1}").verdict == TapVerdict::not_mine);
  }
  CHECK(world.batch.empty());
}

TEST_CASE("a device's telemetry joins the batch of its message") {
  World world;
  CHECK(world.publish("devices/d1/telemetry", R"({"ts":1700000000000,"a":1,"b":2})").verdict ==
        TapVerdict::stored);
  CHECK(world.batch.count() == 1);
  REQUIRE(world.kv->write(world.batch, true).ok());
  CHECK(*world.series.has_data("d1"));
}

TEST_CASE("what is rejected leaves the batch alone and says why") {
  World world;
  const auto rejects = [&world](std::string_view topic, std::string_view payload) {
    const plugin::TapResult result = world.publish(topic, payload);
    CHECK(result.verdict == TapVerdict::rejected);
    CHECK(world.batch.empty());
    return std::string(result.what);
  };
  CHECK(rejects("devices/d1/telemetry", "21.5 C") == "the payload is not JSON");
  CHECK(rejects("devices/d1/telemetry", "") == "the payload is empty");
  CHECK(rejects("devices/d1/telemetry", R"([{"a":1},{"a":[]}])") ==
        "arrays as values are not supported");
  CHECK(rejects("devices/d1/telemetry/senml", "[]") == "a SenML pack has no records");
  CHECK(rejects("devices/d1/telemetry/cbor", "\x80") == "a SenML pack has no records");
  CHECK(rejects("devices/d1/telemetry/senml", R"([{"bn":"d2:","n":"a","v":1}])") ==
        "a SenML name does not begin with the device's own id and ':' or '/'");
  CHECK(rejects("devices/d2/telemetry", "{\"a\":1}") ==
        "only the device itself may publish its telemetry");
  CHECK(rejects("devices/sub/telemetry", "{\"a\":1}") ==
        "the topic does not name a valid device id");
  CHECK(rejects("devices//telemetry", "{\"a\":1}") == "the topic does not name a valid device id");
  const TelemetryStatistics statistics = world.tap.statistics();
  CHECK(statistics.messages_rejected == 9);
  CHECK(statistics.messages_stored == 0);
}

TEST_CASE("who is not a device may write for any device when its policy is not the device's") {
  World world;
  world.self = identity(IdentityKind::anonymous, PolicyKind::open, "local");
  CHECK(world.publish("devices/unknown/telemetry", "{\"a\":1}").verdict == TapVerdict::stored);
  world.self = identity(IdentityKind::service, PolicyKind::service_write, "import");
  CHECK(world.publish("devices/d2/telemetry", "{\"a\":1}").verdict == TapVerdict::stored);
  world.self = identity(IdentityKind::anonymous, PolicyKind::device, "d1");
  CHECK(world.publish("devices/d1/telemetry", "{\"a\":1}").verdict == TapVerdict::rejected);
}

TEST_CASE("a known Content-Type wins over the topic, an unknown one says nothing") {
  World world;
  struct Case {
    std::string_view topic;
    std::string_view content_type;
    TapVerdict verdict;
  };
  const Case cases[] = {
      {"devices/d1/telemetry", "application/json", TapVerdict::stored},
      {"devices/d1/telemetry", "Application/JSON; charset=utf-8", TapVerdict::stored},
      {"devices/d1/telemetry", "text/plain", TapVerdict::stored},
      {"devices/d1/telemetry", "", TapVerdict::stored},
      {"devices/d1/telemetry", "application/senml+json", TapVerdict::rejected},
      {"devices/d1/telemetry", "application/senml+cbor ;x=1", TapVerdict::rejected},
      {"devices/d1/telemetry", "application/cbor", TapVerdict::rejected},
      {"devices/d1/telemetry/senml", "application/json", TapVerdict::stored},
      {"devices/d1/telemetry/senml", "text/plain", TapVerdict::rejected},
  };
  for (const Case& each : cases) {
    CAPTURE(each.content_type);
    mqtt::Publish publish = message(each.topic, "{\"a\":1}");
    publish.properties.content_type = each.content_type;
    CHECK(world.tap.on_publish(world.self, publish, now, world.batch).verdict == each.verdict);
  }
}

TEST_CASE("SenML by topic and by Content-Type joins the batch") {
  World world;
  CHECK(world.publish("devices/d1/telemetry/senml", R"([{"bn":"d1:","n":"a","u":"V","v":1.5}])")
            .verdict == TapVerdict::stored);
  CHECK(world
            .publish("devices/d1/telemetry/cbor", std::string_view("\x81\xa2\x00\x61"
                                                                   "b\x02\x07",
                                                                   7))
            .verdict == TapVerdict::stored);
  mqtt::Publish publish = message("devices/d1/telemetry", R"([{"n":"c","vb":true}])");
  publish.properties.content_type = "application/senml+json";
  CHECK(world.tap.on_publish(world.self, publish, now, world.batch).verdict == TapVerdict::stored);
  REQUIRE(world.kv->write(world.batch, true).ok());
  SeriesQuery query;
  query.device = "d1";
  const auto page = world.series.query(query);
  REQUIRE(page.has_value());
  REQUIRE(page->series.size() == 3);
  CHECK(page->series[0].samples[0].value == StoredValue(1.5));
  CHECK(page->series[1].samples[0].value == StoredValue(std::int64_t{7}));
  CHECK(page->series[2].samples[0].value == StoredValue(true));
}

TEST_CASE("a unit is written once, again when it changes, and after it was erased") {
  World world;
  const auto publish = [&world](std::string_view unit) {
    world.batch.clear();
    const std::string record =
        R"([{"n":"a","t":-1,"u":")" + std::string(unit) + R"(","v":1},{"n":"b","v":2}])";
    REQUIRE(world.publish("devices/d1/telemetry/senml", record).verdict == TapVerdict::stored);
    const std::uint32_t writes = world.batch.count();
    REQUIRE(world.kv->write(world.batch, true).ok());
    return writes;
  };
  const UnitBook book(*world.kv);
  CHECK(*book.unit_of("d1", "a") == "");
  CHECK(publish("V") == 2);
  CHECK(*book.unit_of("d1", "a") == "V");
  CHECK(*book.unit_of("d1", "b") == "");
  CHECK(*book.unit_of("d2", "a") == "");
  CHECK(publish("V") == 1);
  CHECK(publish("mV") == 2);
  CHECK(*book.unit_of("d1", "a") == "mV");
  storage::Batch erase;
  UnitBook::erase("d1", "", erase);
  REQUIRE(world.kv->write(erase, true).ok());
  world.tap.forget_units();
  CHECK(*book.unit_of("d1", "a") == "");
  CHECK(publish("mV") == 2);
  CHECK(*book.unit_of("d1", "a") == "mV");
}

/// Keeps what it is told.
class Listener final : public plugin::EventSink {
 public:
  bool wanted(plugin::EventType type) const noexcept override {
    return type == plugin::EventType::telemetry;
  }
  bool wanted_of(plugin::EventType type, std::string_view device) const noexcept override {
    return wanted(type) && device == "d1";
  }
  void publish(plugin::Event event) noexcept override { events.push_back(std::move(event)); }
  std::vector<plugin::Event> events;
};

TEST_CASE("who listens to a device hears of its stored samples and of nothing else") {
  World world;
  Listener listener;
  TelemetryTap tap(world.series, 1, &listener);
  const auto publish = [&](std::string_view device, std::string_view payload) {
    const auto self = identity(IdentityKind::device, PolicyKind::device, std::string(device));
    static_cast<void>(tap.on_publish(
        self, message("devices/" + std::string(device) + "/telemetry", payload), now, world.batch));
  };
  publish("d2", R"({"a":1})");
  publish("d1", R"({"a":[]})");
  publish("d1", R"({"a":null})");
  CHECK(listener.events.empty());
  publish("d1", R"({"a":1.5,"b":"x\ny","ts":5})");
  REQUIRE(listener.events.size() == 1);
  CHECK(listener.events[0].device == "d1");
  CHECK(listener.events[0].time == now.wall);
  CHECK(
      listener.events[0].data ==
      R"({"samples":[{"key":"a","ts":"1970-01-01T00:00:00.005Z",)"
      R"("value":1.5,"flags":["clock_skew"]},)"
      R"({"key":"b","ts":"1970-01-01T00:00:00.005Z","value":"x\u000ay","flags":["clock_skew"]}]})");
  std::string many = "{\"k0\":0";
  for (int i = 1; i < 1000; ++i) {
    many += ",\"k" + std::to_string(i) + "\":" + std::to_string(i);
  }
  publish("d1", many + "}");
  REQUIRE(listener.events.size() == 2);
  CHECK(listener.events[1].data.size() < event_bytes_max + 200);
  CHECK(listener.events[1].data.find("\"omitted\":") != std::string::npos);
}

TEST_CASE("clearing a retained message is not telemetry") {
  World world;
  mqtt::Publish publish = message("devices/d1/telemetry", "");
  publish.retain = true;
  CHECK(world.tap.on_publish(world.self, publish, now, world.batch).verdict ==
        TapVerdict::not_mine);
}

TEST_CASE("flagged samples are stored and counted") {
  World world;
  CHECK(world.publish("devices/d1/telemetry", R"([{"ts":5,"a":1},{"b":2}])").verdict ==
        TapVerdict::stored);
  CHECK(world.tap.statistics().samples_stored == 2);
  CHECK(world.tap.statistics().samples_flagged == 1);
}

TEST_CASE("more threads than slots share one tap without losing or mixing a sample") {
  World world;
  constexpr int threads = 4;
  constexpr int rounds = 500;
  std::vector<storage::Batch> batches(threads);
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&world, &batches, t] {
      const std::string name = "t" + std::to_string(t);
      const auto self = identity(IdentityKind::device, PolicyKind::device, name);
      const std::string topic = "devices/" + name + "/telemetry";
      for (int i = 0; i < rounds; ++i) {
        const std::string payload = "{\"ts\":" + std::to_string(1'700'000'000'000 + i) +
                                    ",\"of\":{\"thread\":" + std::to_string(t) +
                                    "},\"bad\":" + (i % 10 == 0 ? "[]" : "\"" + name + "\"") + "}";
        static_cast<void>(world.tap.on_publish(self, message(topic, payload), now,
                                               batches[static_cast<std::size_t>(t)]));
      }
    });
  }
  for (std::thread& thread : running) {
    thread.join();
  }
  constexpr std::size_t good = rounds - rounds / 10;
  for (int t = 0; t < threads; ++t) {
    REQUIRE(world.kv->write(batches[static_cast<std::size_t>(t)], true).ok());
    SeriesQuery query;
    query.device = "t" + std::to_string(t);
    query.limit = series_page_samples_max;
    const auto page = world.series.query(query);
    REQUIRE(page.has_value());
    REQUIRE(page->series.size() == 2);
    CHECK(page->series[0].samples.size() == good);
    CHECK(page->series[0].samples[0].value == StoredValue(query.device));
    CHECK(page->series[1].key == "of.thread");
    CHECK(page->series[1].samples.size() == good);
    CHECK(page->series[1].samples[0].value == StoredValue(std::int64_t{t}));
  }
  const TelemetryStatistics statistics = world.tap.statistics();
  CHECK(statistics.messages_stored == threads * good);
  CHECK(statistics.messages_rejected == threads * (rounds - good));
  CHECK(statistics.samples_stored == threads * good * 2);
}

// Prints what one core does a second; asserts nothing about it.
TEST_CASE("speed of parse and append on one core" * doctest::skip()) {
  World world;
  struct Shape {
    const char* name;
    std::string payload;
    std::size_t samples;
  };
  std::string pack = R"([{"bn":"d1:","bt":1700000000)";
  for (int i = 0; i < 100; ++i) {
    pack += std::string(i == 0 ? "" : ",{") + (i == 0 ? "," : "") +
            R"("n":"temperature","u":"Cel","t":)" + std::to_string(i) + R"(,"v":21.5})";
  }
  std::string many = "[";
  for (int i = 0; i < 100; ++i) {
    many += (i == 0 ? "{\"ts\":" : ",{\"ts\":") + std::to_string(1'700'000'000'000 + i) +
            ",\"temperature\":21.5}";
  }
  const Shape shapes[] = {
      {"1 sample", R"({"ts":1700000000000,"temperature":21.5})", 1},
      {"5 samples",
       R"({"ts":1700000000000,"temperature":21.5,"humidity":48.2,"on":true,"mode":"auto","n":7})",
       5},
      {"100 in an array", many + "]", 100},
      {"100 in SenML", pack + "]", 100},
  };
  for (const Shape& shape : shapes) {
    const auto start = std::chrono::steady_clock::now();
    constexpr std::size_t samples_min = 1'000'000;
    std::size_t samples = 0;
    for (; samples < samples_min; samples += shape.samples) {
      static_cast<void>(world.publish(shape.payload.starts_with("[{\"bn")
                                          ? "devices/d1/telemetry/senml"
                                          : "devices/d1/telemetry",
                                      shape.payload));
      world.batch.clear();
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    std::printf("%-16s %6.0f thousand samples/s, %5.0f thousand messages/s\n", shape.name,
                static_cast<double>(samples) / taken.count() / 1e3,
                static_cast<double>(samples / shape.samples) / taken.count() / 1e3);
  }
}

}  // namespace
}  // namespace skerry::twin
