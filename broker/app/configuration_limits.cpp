// One row per limit: key, what it is, where it is kept, what it may be.
#include "app/configuration_limits.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include "app/configuration_value.hpp"

namespace skerry::app {

namespace {

enum class Kind : std::uint8_t { number, size, automatic_size, duration };

struct Row {
  std::string_view key;
  std::string_view comment;
  Kind kind;
  Section::Range range;
  std::uint64_t (*get)(const Limits&);
  void (*set)(Limits&, std::uint64_t);
};

template <auto member>
std::uint64_t get(const Limits& limits) {
  return static_cast<std::uint64_t>(limits.*member);
}

template <auto member>
void set(Limits& limits, std::uint64_t value) {
  limits.*member = static_cast<std::remove_reference_t<decltype(limits.*member)>>(value);
}

// MQTT counts seconds, the file says durations: rows of kind `duration` are in milliseconds.
template <auto member>
std::uint64_t get_seconds(const Limits& limits) {
  return get<member>(limits) * 1'000;
}

template <auto member>
void set_seconds(Limits& limits, std::uint64_t value) {
  set<member>(limits, value / 1'000);
}

template <auto member>
std::uint64_t get_duration(const Limits& limits) {
  return static_cast<std::uint64_t>((limits.*member).count());
}

template <auto member>
void set_duration(Limits& limits, std::uint64_t value) {
  limits.*member = std::chrono::milliseconds(static_cast<std::int64_t>(value));
}

template <auto member>
constexpr Row row(std::string_view key, Kind kind, Section::Range range, std::string_view comment) {
  return {key, comment, kind, range, &get<member>, &set<member>};
}

constexpr std::uint64_t kibi = 1024;
constexpr std::uint64_t mebi = 1024 * kibi;
constexpr std::uint64_t gibi = 1024 * mebi;

constexpr std::array rows{
    row<&Limits::memory>("memory", Kind::automatic_size, {64 * mebi, 65'536 * gibi},
                         "memory of the whole process; auto: three quarters of what there is"),
    row<&Limits::packet_size_max>("packet_size_max", Kind::size, {kibi, remaining_length_max},
                                  "largest MQTT packet, both directions"),
    row<&Limits::receive_maximum>("receive_maximum", Kind::number, {1, 65'535},
                                  "QoS 1 and 2 messages a client may have open"),
    row<&Limits::inflight_max>("inflight_max", Kind::number, {1, 65'535},
                               "the same towards a client"),
    row<&Limits::topic_alias_max>("topic_alias_max", Kind::number, {0, 65'535},
                                  "topic aliases a client may set"),
    Row{"session_expiry_max",
        "longer wishes are cut to this",
        Kind::duration,
        {0, 3'650ull * 86'400'000},
        &get_seconds<&Limits::session_expiry_max_seconds>,
        &set_seconds<&Limits::session_expiry_max_seconds>},
    Row{"keep_alive_max",
        "longest keep alive, 0s: what the client asks for",
        Kind::duration,
        {0, 65'535'000},
        &get_seconds<&Limits::keep_alive_max_seconds>,
        &set_seconds<&Limits::keep_alive_max_seconds>},
    row<&Limits::session_queue_messages_max>("session_queue_messages_max", Kind::number,
                                             {1, 100'000'000}, "messages waiting for one client"),
    row<&Limits::session_queue_bytes_max>("session_queue_bytes_max", Kind::size,
                                          {kibi, 1'024 * gibi}, "and their bytes"),
    row<&Limits::output_bytes_max>("output_bytes_max", Kind::size, {16 * kibi, gibi},
                                   "unsent bytes of one connection"),
    row<&Limits::subscriptions_per_session_max>("subscriptions_per_session_max", Kind::number,
                                                {1, 1'000'000}, "filters of one client"),
    row<&Limits::subscriptions_max>("subscriptions_max", Kind::number, {1, 1'000'000'000},
                                    "filters of all clients"),
    row<&Limits::will_bytes_max>("will_bytes_max", Kind::size, {0, 1'024 * gibi},
                                 "wills of all clients"),
    row<&Limits::sessions_max>("sessions_max", Kind::number, {1, 100'000'000},
                               "sessions, connected or not"),
    row<&Limits::connections_max>("connections_max", Kind::number, {0, 10'000'000},
                                  "connections, 0: what file descriptors allow"),
    row<&Limits::retained_messages_max>("retained_messages_max", Kind::number, {0, 1'000'000'000},
                                        "retained messages"),
    row<&Limits::retained_bytes_max>("retained_bytes_max", Kind::size, {0, 1'024 * gibi},
                                     "and their bytes"),
    row<&Limits::group_queue_messages_max>("group_queue_messages_max", Kind::number,
                                           {1, 100'000'000},
                                           "messages waiting for an offline shared group"),
    row<&Limits::mailbox_bytes_max>("mailbox_bytes_max", Kind::size, {mebi, 64 * gibi},
                                    "messages on their way from core to core"),
    row<&Limits::commit_queue_bytes_max>("commit_queue_bytes_max", Kind::size, {mebi, 64 * gibi},
                                         "writes handed over and not yet stored"),
    Row{"connect_timeout",
        "from accept to CONNECT, TLS included",
        Kind::duration,
        {100, 600'000},
        &get_duration<&Limits::connect_timeout>,
        &set_duration<&Limits::connect_timeout>},
    row<&Limits::accepts_per_turn>("accepts_per_turn", Kind::number, {1, 4'096},
                                   "new connections of one core at a time"),
    row<&Limits::accepts_per_second>("accepts_per_second", Kind::number, {0, 1'000'000},
                                     "new connections in all; more wait in the kernel, 0: any"),
    row<&Limits::http_accepts_per_second>("http_accepts_per_second", Kind::number, {0, 100'000},
                                          "the same for each port of REST, EST and metrics"),
    row<&Limits::address_accepts_per_second>(
        "address_accepts_per_second", Kind::number, {0, 1'000'000},
        "new connections from one address; more are reset, 0: any"),
    row<&Limits::address_accepts_burst>("address_accepts_burst", Kind::number, {1, 10'000'000},
                                        "of which so many may come at once: a site that returns"),
    row<&Limits::address_connections_max>("address_connections_max", Kind::number, {0, 10'000'000},
                                          "open connections from one address, 0: any"),
    row<&Limits::address_bits_v4>("address_bits_v4", Kind::number, {0, 32},
                                  "leading bits that count as one address"),
    row<&Limits::address_bits_v6>("address_bits_v6", Kind::number, {0, 128}, "the same of IPv6"),
    row<&Limits::unattached_max>("unattached_max", Kind::number, {1, 10'000'000},
                                 "connections without CONNECT yet; then silent ones give way"),
    row<&Limits::handshakes_max>("handshakes_max", Kind::number, {1, 1'000'000},
                                 "TLS handshakes open at a time, some 40KiB each"),
    row<&Limits::handshake_cpu_percent>("handshake_cpu_percent", Kind::number, {1, 100},
                                        "most of each core's time that goes into TLS handshakes"),
    Row{"handshake_wait_max",
        "longest wait for that time, before TLS begins",
        Kind::duration,
        {100, 600'000},
        &get_duration<&Limits::handshake_wait_max>,
        &set_duration<&Limits::handshake_wait_max>},
    row<&Limits::connects_per_minute>("connects_per_minute", Kind::number, {0, 1'000'000},
                                      "successful logins of one owner, 0: any"),
};

constexpr std::array<std::string_view, 3> rate_keys{"messages_per_second", "bytes_per_second",
                                                    "rate_policy"};

void read_rates(const Section& section, RateLimits& rates) {
  rates.messages_per_second = static_cast<std::uint32_t>(
      section.read_number("messages_per_second", rates.messages_per_second, {0, 10'000'000}));
  rates.bytes_per_second =
      section.read_size("bytes_per_second", rates.bytes_per_second, {0, 1'024 * gibi});
  section.read_choice<RatePolicy>(
      "rate_policy", rates.policy,
      {{"hold", RatePolicy::hold}, {"disconnect", RatePolicy::disconnect}});
}

std::vector<std::pair<std::string_view, std::string>> rate_values(const RateLimits& rates) {
  return {{"messages_per_second", std::to_string(rates.messages_per_second)},
          {"bytes_per_second", format_size(rates.bytes_per_second)},
          {"rate_policy", rates.policy == RatePolicy::hold ? "hold" : "disconnect"}};
}

std::string value_text(const Row& each, std::uint64_t value) {
  switch (each.kind) {
    case Kind::number:
      return std::to_string(value);
    case Kind::size:
      return format_size(value);
    case Kind::automatic_size:
      return value == 0 ? "auto" : format_size(value);
    case Kind::duration:
      return value == 0
                 ? "0s"
                 : format_duration(std::chrono::milliseconds(static_cast<std::int64_t>(value)));
  }
  return {};
}

}  // namespace

void read_limits(const std::string& name, const YAML::Node& node, Limits& limits) {
  std::vector<std::string_view> keys;
  for (const Row& each : rows) {
    keys.push_back(each.key);
  }
  keys.insert(keys.end(), rate_keys.begin(), rate_keys.end());
  const Section section(name, "limits", node, std::move(keys));
  read_rates(section, limits.rates);
  for (const Row& each : rows) {
    const std::uint64_t old = each.get(limits);
    switch (each.kind) {
      case Kind::number:
        each.set(limits, section.read_number(each.key, old, each.range));
        break;
      case Kind::size:
        each.set(limits, section.read_size(each.key, old, each.range));
        break;
      case Kind::automatic_size: {
        const YAML::Node given = section.value(each.key);
        const bool automatic =
            given && section.scalar(given, section.qualified(each.key)) == "auto";
        each.set(limits, automatic ? 0 : section.read_size(each.key, old, each.range));
        break;
      }
      case Kind::duration:
        const auto otherwise = std::chrono::milliseconds(static_cast<std::int64_t>(old));
        const auto duration = section.read_duration(each.key, otherwise, each.range);
        each.set(limits, static_cast<std::uint64_t>(duration.count()));
        break;
    }
  }
}

std::string limits_text(const Limits& limits) {
  std::string text = "limits:\n";
  for (const Row& each : rows) {
    text += "  # " + std::string(each.comment) + "\n  " + std::string(each.key) + ": " +
            value_text(each, each.get(limits)) + "\n";
  }
  text +=
      "  # what one client may send, 0: any amount; who is over it is held (not read for a while)\n"
      "  # or disconnected (reason 0x96)\n";
  for (const auto& [key, value] : rate_values(limits.rates)) {
    text += "  " + std::string(key) + ": " + value + "\n";
  }
  return text;
}

void read_listener_limits(const Section& listener, const Limits& otherwise,
                          ListenerLimits& limits) {
  const YAML::Node node = listener.value("limits");
  if (!node) {
    return;
  }
  std::vector<std::string_view> keys{"connections_max", "output_bytes_max"};
  keys.insert(keys.end(), rate_keys.begin(), rate_keys.end());
  const Section section(listener.file(), listener.qualified("limits"), node, std::move(keys));
  limits.connections_max = static_cast<std::uint32_t>(
      section.read_number("connections_max", limits.connections_max, {0, 10'000'000}));
  limits.output_bytes_max =
      section.read_size("output_bytes_max", limits.output_bytes_max, {mebi, 65'536 * gibi});
  if (std::any_of(rate_keys.begin(), rate_keys.end(),
                  [&section](std::string_view key) { return bool{section.value(key)}; })) {
    limits.rates = otherwise.rates;
    read_rates(section, *limits.rates);
  }
}

std::string listener_limits_text(const ListenerLimits& limits) {
  std::string text;
  if (limits.connections_max != 0) {
    text += "      connections_max: " + std::to_string(limits.connections_max) + "\n";
  }
  if (limits.output_bytes_max != 0) {
    text += "      output_bytes_max: " + format_size(limits.output_bytes_max) + "\n";
  }
  if (limits.rates) {
    for (const auto& [key, value] : rate_values(*limits.rates)) {
      text += "      " + std::string(key) + ": " + value + "\n";
    }
  }
  return text.empty() ? text : "    limits:\n" + text;
}

}  // namespace skerry::app
