// Text of the kernel, as recorded on machines and as no kernel should write it.
#include "device/proc_text.hpp"

#include <doctest/doctest.h>

using namespace skerry::agent;

namespace {

constexpr std::string_view net_dev =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop "
    "fifo colls carrier compressed\n"
    "    lo: 70509490115 128471686    0    0    0     0          0         0 70509490115 128471686 "
    "   0    0    0     0       0          0\n"
    "  eth0: 227646226    6287    1    2    0     0          0         0   417773    3345    3    "
    "4 "
    "   0     0       0          0\n"
    "wlan0:12345 1 0 0 0 0 0 0 678 1 0 0 0 0 0 0\n";

TEST_CASE("load of the processor between two readings") {
  const auto before = parse_stat("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2 3 4\n");
  const auto after = parse_stat("cpu  130 0 120 840 10 0 0 0 50 0\n");
  REQUIRE(before);
  REQUIRE(after);
  CHECK(before->total == 1000);
  CHECK(busy_percent(*before, *after) == 50.0);
  CHECK_FALSE(busy_percent(*after, *after));
  CHECK_FALSE(busy_percent(*after, *before));
  CHECK(parse_stat("cpu 1 2 3 4\n")->total == 10);  // as old kernels have it
}

TEST_CASE("a stat that makes no sense gives nothing") {
  for (const char* text :
       {"", "cpu", "cpu 1 2 3", "cpu0 1 2 3 4", "cpu 1 2 3 x", "cpu -1 2 3 4",
        "cpu 99999999999999999999 2 3 4", "cpu 18446744073709551615 1 1 1", "intr 1 2 3 4"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_stat(text));
  }
}

TEST_CASE("memory of a machine with swap, and of one that hides half of it") {
  const Memory memory = parse_meminfo(
      "MemTotal:        8152140 kB\nMemFree:          123456 kB\nMemAvailable:    4076070 kB\n"
      "SwapTotal:       2097148 kB\nSwapFree:        2097000 kB\n");
  CHECK(memory.total == 8152140LL * 1024);
  CHECK(memory.available == 4076070LL * 1024);
  CHECK(memory.swap_free == 2097000LL * 1024);
  const Memory poor =
      parse_meminfo("MemTotal:\nMemAvailable: 99999999999999999 kB\n\n::\nSwapTotal: -5 kB");
  CHECK_FALSE(poor.total);
  CHECK_FALSE(poor.available);
  CHECK_FALSE(poor.swap_total);
}

TEST_CASE("interfaces, with and without a space behind the colon") {
  const auto interfaces = parse_net_dev(net_dev, 10);
  REQUIRE(interfaces.size() == 3);
  CHECK(interfaces[1].name == "eth0");
  CHECK(interfaces[1].received_bytes == 227646226);
  CHECK(interfaces[1].sent_bytes == 417773);
  CHECK(interfaces[1].errors == 4);
  CHECK(interfaces[1].dropped == 6);
  CHECK(interfaces[2].name == "wlan0");
  CHECK(interfaces[2].sent_bytes == 678);
  CHECK(parse_net_dev(net_dev, 1).size() == 1);
  for (std::size_t size = 0; size < net_dev.size(); ++size) {
    CHECK(parse_net_dev(net_dev.substr(0, size), 10).size() <= 3);
  }
  CHECK(parse_net_dev("eth0: 1 2 3\n: 1 2 3 4 5 6 7 8 9 10 11 12\na: x\n", 10).empty());
}

TEST_CASE("single numbers and fields") {
  CHECK(parse_number("42000\n") == 42000);
  CHECK(parse_number(" -5 ") == -5);
  CHECK_FALSE(parse_number(""));
  CHECK_FALSE(parse_number("42 43"));
  CHECK_FALSE(parse_number("max"));
  CHECK(parse_first_number("0.52 0.58 0.59 1/467 12345\n") == 0.52);
  CHECK_FALSE(parse_first_number("nan 1"));
  CHECK_FALSE(parse_first_number(""));
  CHECK(parse_field("populated 1\nfrozen 0\n", "populated") == 1);
  CHECK_FALSE(parse_field("populatedx 1\n", "populated"));
}

TEST_CASE("names as parts of keys") {
  CHECK(key_part("/") == "root");
  CHECK(key_part("/var/log") == "var_log");
  CHECK(key_part("eth0.100") == "eth0_100");
  CHECK(key_part("x86_pkg_temp\n") == "x86_pkg_temp");
  CHECK(key_part("a\"b\\c\x01") == "a_b_c");
  CHECK(key_part("") == "root");
  CHECK(key_part(std::string(500, 'x')).size() == 48);
}

}  // namespace
