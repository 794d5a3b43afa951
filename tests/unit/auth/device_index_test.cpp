// The index against the plain definition: every device judged by itself, sorted and cut.
#include "auth/device_index.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

using namespace skerry;
using namespace skerry::auth;

namespace {

const WallTime now = wall_from_epoch(1'800'000'000'000);

/// A registry as far as an index sees one.
struct Devices {
  DevicePointer find(std::string_view id) const {
    const std::lock_guard lock{mutex};
    const auto at = all.find(id);
    return at == all.end() ? nullptr : at->second;
  }
  void put(Device device) {
    std::string id = device.id;
    {
      const std::lock_guard lock{mutex};
      all.insert_or_assign(id, std::make_shared<const Device>(std::move(device)));
    }
    index.changed(id);
  }
  void erase(const std::string& id) {
    {
      const std::lock_guard lock{mutex};
      all.erase(id);
    }
    presences.erase(id);
    index.changed(id);
  }
  void see(const std::string& id, bool online, WallTime time) {
    presences[id] = {online, time};
    index.note_presence(id, online, time);
  }

  mutable std::mutex mutex;
  std::map<std::string, DevicePointer, std::less<>> all;
  std::map<std::string, DevicePresence, std::less<>> presences;
  DeviceIndex index{[this](std::string_view id) { return find(id); }};
};

filter::Filter parsed(std::string_view text) {
  const auto filter = parse_device_filter(text);
  REQUIRE_MESSAGE(filter.has_value(), text);
  return *filter;
}

std::vector<std::string> ids_of(const DeviceMatches& matches) {
  std::vector<std::string> ids;
  for (const FoundDevice& found : matches.devices) {
    ids.push_back(found.device->id);
  }
  return ids;
}

class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}
  unsigned pick(unsigned count) { return static_cast<unsigned>(random_() % count); }

  Device device(unsigned number) {
    Device made;
    made.id = "d" + std::to_string(number);
    made.state = static_cast<DeviceState>(1 + pick(5));
    made.created = now - std::chrono::hours{pick(500)};
    made.changed = made.created + std::chrono::minutes{pick(3)};
    made.name = pick(3) == 0 ? "" : "Pump " + std::string(1, static_cast<char>('A' + pick(4)));
    made.model = std::array{"", "pi3", "pi4", "pi5"}[pick(4)];
    made.serial_number = std::to_string(pick(100));
    for (const char* tag : {"blue", "lab", "red"}) {
      if (pick(3) == 0) {
        made.tags.emplace_back(tag);
      }
    }
    if (pick(2) == 0) {
      made.attributes["site"] = std::array{"north-1", "north-2", "south", ""}[pick(4)];
    }
    made.attributes["unique"] = std::to_string(number % 500);
    if (pick(3) == 0) {
      made.not_after = now + std::chrono::hours{pick(100)};
    }
    DeviceKey key;
    key.fingerprint = std::string(64, "0123456789"[pick(10)]);
    key.certificates.push_back({std::to_string(pick(50)), now});
    made.keys.push_back(key);
    return made;
  }

  std::string term() {
    static constexpr auto terms = std::to_array<const char*>({"state:enrolled",
                                                              "state:p*",
                                                              "model:pi4",
                                                              "model:(pi3 OR pi5)",
                                                              "model:*",
                                                              "tags:lab",
                                                              "tags:(lab AND red)",
                                                              "tags:*e*",
                                                              "attributes.site:north*",
                                                              "attributes.site:*",
                                                              "attributes.none:x",
                                                              "attributes.unique:17",
                                                              "attributes.unique<50",
                                                              "attributes.unique:[100 TO 200]",
                                                              "id:d1*",
                                                              "id:d7",
                                                              "id:d*5",
                                                              "id>d30",
                                                              "name:\"Pump A\"",
                                                              "name:*",
                                                              "serialNumber:7",
                                                              "createdAt<-7d",
                                                              "createdAt:[-3d TO now]",
                                                              "changedAt>-1d",
                                                              "notAfter:*",
                                                              "notAfter<+2d",
                                                              "online:true",
                                                              "lastSeen>-6h",
                                                              "\"pump b\"",
                                                              "pump*d1",
                                                              "PI4",
                                                              "keys.fingerprint:333*",
                                                              "keys.certificates.serial:12",
                                                              "lab*south",
                                                              "\"b\nb\""});
    return terms[pick(terms.size())];
  }

  std::string filter(unsigned depth) {
    if (depth == 0) {
      return term();
    }
    switch (pick(4)) {
      case 0:
        return "(" + filter(depth - 1) + " OR " + filter(depth - 1) + ")";
      case 1:
        return "NOT " + filter(depth - 1);
      default:
        return "(" + filter(depth - 1) + " " + filter(depth - 1) + ")";
    }
  }

 private:
  std::mt19937 random_;
};

/// The ids that the filter chooses, one device after the other.
std::vector<std::string> plainly(const Devices& devices, const filter::Filter& filter) {
  std::vector<std::string> ids;
  for (const auto& [id, device] : devices.all) {
    const auto presence = devices.presences.find(id);
    const DevicePresence seen =
        presence == devices.presences.end() ? DevicePresence{} : presence->second;
    if (filter.matches(DeviceFields{*device, seen}, now)) {
      ids.push_back(id);
    }
  }
  return ids;
}

}  // namespace

TEST_CASE("the index chooses what judging each device by itself would, while devices come and go") {
  Maker maker{3};
  Devices devices;
  std::size_t chosen = 0;
  for (unsigned round = 0; round < 300; ++round) {
    for (unsigned change = 0; change < 10; ++change) {
      const unsigned number = maker.pick(300);
      if (maker.pick(4) == 0) {
        devices.erase("d" + std::to_string(number));
      } else {
        devices.put(maker.device(number));
      }
      const std::string seen = "d" + std::to_string(maker.pick(300));
      if (devices.all.contains(seen)) {
        devices.see(seen, maker.pick(2) == 0, now - std::chrono::hours{maker.pick(12)});
      }
    }
    const std::string text = maker.filter(maker.pick(4));
    CAPTURE(text);
    const filter::Filter filter = parsed(text);
    const std::vector<std::string> expected = plainly(devices, filter);
    DeviceQuery query;
    query.filter = filter;
    query.limit = 1000;
    query.count = true;
    const DeviceMatches found = devices.index.query(query, now);
    CHECK(ids_of(found) == expected);
    CHECK(found.count == expected.size());
    CHECK_FALSE(found.last);
    CHECK(devices.index.ids(filter, {}, 1000, now) == expected);
    chosen += expected.size();
  }
  CHECK(chosen > 5000);
}

TEST_CASE("pages in every order are the whole list, each device once") {
  Maker maker{4};
  Devices devices;
  for (unsigned number = 0; number < 6000; ++number) {
    devices.put(maker.device(number));
    if (maker.pick(3) == 0) {
      devices.see("d" + std::to_string(number), true, now - std::chrono::minutes{maker.pick(50)});
    }
  }
  for (const DeviceSort sort :
       {DeviceSort::id, DeviceSort::name, DeviceSort::model, DeviceSort::state, DeviceSort::created,
        DeviceSort::changed, DeviceSort::not_after, DeviceSort::last_seen}) {
    for (const bool descending : {false, true}) {
      for (const char* text : {"", "model:pi4 tags:lab"}) {
        CAPTURE(static_cast<int>(sort));
        CAPTURE(descending);
        DeviceQuery query;
        query.filter = parsed(text);
        query.sort = sort;
        query.descending = descending;
        query.limit = 10'000;
        const std::vector<std::string> whole = ids_of(devices.index.query(query, now));
        CHECK(whole.size() == plainly(devices, query.filter).size());
        std::vector<std::string> joined;
        query.limit = 700;
        do {
          const DeviceMatches page = devices.index.query(query, now);
          const auto ids = ids_of(page);
          joined.insert(joined.end(), ids.begin(), ids.end());
          query.after = page.last;
        } while (query.after && joined.size() <= whole.size());
        CHECK(joined == whole);
      }
    }
  }
}

TEST_CASE("sorting puts what it says first") {
  Devices devices;
  const auto add = [&](const char* id, int hours, const char* name) {
    Device device;
    device.id = id;
    device.name = name;
    device.created = now + std::chrono::hours{hours};
    devices.put(device);
  };
  add("a", 2, "y");
  add("b", 1, "x");
  add("c", 3, "x");
  devices.see("b", false, now);
  const auto sorted = [&](DeviceSort sort, bool descending) {
    DeviceQuery query;
    query.sort = sort;
    query.descending = descending;
    std::string joined;
    for (const std::string& id : ids_of(devices.index.query(query, now))) {
      joined += id;
    }
    return joined;
  };
  CHECK(sorted(DeviceSort::id, false) == "abc");
  CHECK(sorted(DeviceSort::id, true) == "cba");
  CHECK(sorted(DeviceSort::created, false) == "bac");
  CHECK(sorted(DeviceSort::created, true) == "cab");
  CHECK(sorted(DeviceSort::name, false) == "bca");
  CHECK(sorted(DeviceSort::name, true) == "abc");
  CHECK(sorted(DeviceSort::last_seen, true) == "bac");
  CHECK(sorted(DeviceSort::last_seen, false) == "acb");
}

TEST_CASE("one device is judged as in a list, unknown ones never match") {
  Devices devices;
  Device device;
  device.id = "pump-7";
  device.tags = {"lab"};
  devices.put(device);
  devices.see("pump-7", true, now);
  CHECK(devices.index.matches(parsed("tags:lab online:true"), "pump-7", now));
  CHECK_FALSE(devices.index.matches(parsed("tags:red"), "pump-7", now));
  CHECK_FALSE(devices.index.matches(parsed(""), "pump-8", now));
  CHECK(devices.index.find("pump-7")->presence.online == true);
  CHECK_FALSE(devices.index.find("pump-8"));
}

TEST_CASE("unknown fields and impossible comparisons are refused") {
  CHECK(parse_device_filter("idd:x").error().what == "there is no field \"idd\"");
  CHECK(parse_device_filter("attributes.:x").has_error());
  CHECK(parse_device_filter("createdAt<soon").has_error());
  CHECK(parse_device_filter("online:1").has_error());
  CHECK(parse_device_filter("attributes.anything:x keys.fingerprint:a*").has_value());
}

TEST_CASE("questions and changes from several threads do not disturb each other") {
  Devices devices;
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&devices, thread] {
      Maker maker{thread};
      for (unsigned round = 0; round < 1500; ++round) {
        const unsigned number = maker.pick(200) * 2 + thread;
        if (maker.pick(5) == 0) {
          devices.index.note_presence("d" + std::to_string(number), true, now);
        } else {
          Device device = maker.device(number);
          device.tags = {"lab"};
          devices.put(std::move(device));
        }
      }
    });
  }
  for (unsigned thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&devices] {
      const filter::Filter all = *parse_device_filter("tags:lab NOT name:nothing");
      for (unsigned round = 0; round < 200; ++round) {
        const auto ids = devices.index.ids(all, {}, 1000, now);
        CHECK(std::is_sorted(ids.begin(), ids.end()));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(devices.index.ids(parsed("tags:lab"), {}, 1000, now).size() == devices.all.size());
}

TEST_CASE("sets keep what they were given, whatever their sizes") {
  std::mt19937 random{5};
  Posting posting;
  std::set<DeviceNumber> expected;
  for (int round = 0; round < 20'000; ++round) {
    const DeviceNumber number = static_cast<DeviceNumber>(random() % 9000);
    if (random() % 3 != 0) {
      posting.add(number);
      expected.insert(number);
    } else {
      posting.remove(number);
      expected.erase(number);
    }
  }
  DeviceSet set;
  posting.add_to(set);
  std::vector<DeviceNumber> numbers;
  set.each([&](DeviceNumber number) { numbers.push_back(number); });
  CHECK(std::equal(numbers.begin(), numbers.end(), expected.begin(), expected.end()));
  CHECK(set.count() == expected.size());
  for (const DeviceNumber number : expected) {
    posting.remove(number);
  }
  CHECK(posting.empty());
  DeviceSet small;
  small.add(3);
  set |= small;
  CHECK(set.has(3));
  set &= small;
  CHECK(set.count() == 1);
  small.add(100'000);
  small -= set;
  CHECK(small.has(100'000));
  CHECK_FALSE(small.has(3));
}
