// Every kind of mistake in a configuration with the exact sentence that answers it.
#include "app/configuration.hpp"

#include <doctest/doctest.h>

#include "app/configuration_value.hpp"

namespace skerry::app {

namespace {

std::string error_of(std::string_view text) {
  try {
    parse_configuration(text, "s.yaml");
  } catch (const ConfigurationError& error) {
    return error.what();
  }
  return "no error";
}

struct Mistake {
  const char* text;
  const char* sentence;
};

const Mistake mistakes[] = {
    {"datadir: x", "s.yaml:1: unknown key \"datadir\", did you mean \"data_dir\"?"},
    {"cores: 1\nlog:\n  levle: debug",
     "s.yaml:3: unknown key \"levle\" in log, did you mean \"level\"?"},
    {"log: {zzzzzzzzz: 1}",
     "s.yaml:1: unknown key \"zzzzzzzzz\" in log; known keys are level, format"},
    {"cluster: {}",
     "s.yaml:1: unknown key \"cluster\"; known keys are data_dir, cores, log, listeners, "
     "authentication, authorization, limits, persistence, twin, identity, admin, metrics"},
    {"- a", "s.yaml:1: the file must be a map of keys and values"},
    {"log: debug", "s.yaml:1: log must be a map of keys and values"},
    {"log:", "s.yaml:1: log has no value"},
    {"log: {level: debug, level: error}", "s.yaml:1: key \"level\" comes twice"},
    {"log: {level: loud}",
     "s.yaml:1: log.level must be one of debug, information, warning, error, not \"loud\""},
    {"data_dir: [a]", "s.yaml:1: data_dir must be a single value"},
    {"data_dir: ''", "s.yaml:1: data_dir must not be empty"},
    {"data_dir: \"a\\nb\"", "s.yaml:1: data_dir must not contain control characters"},
    {"cores: many", "s.yaml:1: cores must be auto or a whole number, not \"many\""},
    {"cores: 0", "s.yaml:1: cores must be between 1 and 256"},
    {"cores: -1", "s.yaml:1: cores must be auto or a whole number, not \"-1\""},
    {"cores: {pin: maybe}", "s.yaml:1: cores.pin must be one of true, false, not \"maybe\""},
    {"limits: {receive_maximum: 1.5}",
     "s.yaml:1: limits.receive_maximum must be a whole number, not \"1.5\""},
    {"limits: {receive_maximum: 70000}",
     "s.yaml:1: limits.receive_maximum must be between 1 and 65535"},
    {"limits:\n  packet_size_max: 2MB",
     "s.yaml:2: limits.packet_size_max must be a size such as 64KiB or 2MiB, not \"2MB\""},
    {"limits: {packet_size_max: 1}",
     "s.yaml:1: limits.packet_size_max must be between 1KiB and 268435455"},
    {"limits: {memory: 1MiB}", "s.yaml:1: limits.memory must be between 64MiB and 65536GiB"},
    {"limits: {memory: much}",
     "s.yaml:1: limits.memory must be a size such as 64KiB or 2MiB, not \"much\""},
    {"limits: {connect_timeout: 10}",
     "s.yaml:1: limits.connect_timeout must be a duration such as 100ms, 10s or 30d, not \"10\""},
    {"limits: {connect_timeout: 1h}",
     "s.yaml:1: limits.connect_timeout must be between 100ms and 10min"},
    {"limits: {address_bits_v4: 33}", "s.yaml:1: limits.address_bits_v4 must be between 0 and 32"},
    {"limits: {address_bits_v6: 129}",
     "s.yaml:1: limits.address_bits_v6 must be between 0 and 128"},
    {"limits: {handshake_cpu_percent: 0}",
     "s.yaml:1: limits.handshake_cpu_percent must be between 1 and 100"},
    {"limits: {handshake_cpu_percent: 60%}",
     "s.yaml:1: limits.handshake_cpu_percent must be a whole number, not \"60%\""},
    {"limits: {address_accepts_burst: 0}",
     "s.yaml:1: limits.address_accepts_burst must be between 1 and 10000000"},
    {"limits: {unattached_max: 0}",
     "s.yaml:1: limits.unattached_max must be between 1 and 10000000"},
    {"limits: {handshakes_max: 0}",
     "s.yaml:1: limits.handshakes_max must be between 1 and 1000000"},
    {"limits: {handshake_wait_max: 30}",
     "s.yaml:1: limits.handshake_wait_max must be a duration such as 100ms, 10s or 30d, not "
     "\"30\""},
    {"limits: {connects_per_minute: -1}",
     "s.yaml:1: limits.connects_per_minute must be a whole number, not \"-1\""},
    {"limits: {messages_per_second: fast}",
     "s.yaml:1: limits.messages_per_second must be a whole number, not \"fast\""},
    {"limits: {bytes_per_second: 1MB}",
     "s.yaml:1: limits.bytes_per_second must be a size such as 64KiB or 2MiB, not \"1MB\""},
    {"limits: {rate_policy: drop}",
     "s.yaml:1: limits.rate_policy must be one of hold, disconnect, not \"drop\""},
    {"listeners:\n  - {name: a, bind: '127.0.0.1:1', limits: {packet_size_max: 1KiB}}",
     "s.yaml:2: unknown key \"packet_size_max\" in listeners[0].limits; known keys are "
     "connections_max, output_bytes_max, messages_per_second, bytes_per_second, rate_policy"},
    {"listeners:\n  - {name: a, bind: '127.0.0.1:1', limits: {output_bytes_max: 1KiB}}",
     "s.yaml:2: listeners[0].limits.output_bytes_max must be between 1MiB and 65536GiB"},
    {"listeners:\n  - {name: a, bind: '127.0.0.1:1', limits: {connections_max: many}}",
     "s.yaml:2: listeners[0].limits.connections_max must be a whole number, not \"many\""},
    {"listeners: []", "s.yaml:1: listeners must be a list of at least one listener"},
    {"listeners:\n  - {name: a}", "s.yaml:2: listeners[0].bind is missing"},
    {"listeners:\n  - {bind: 'a'}", "s.yaml:2: listeners[0].name is missing"},
    {"listeners:\n  - {name: a, bind: localhost}",
     "s.yaml:2: listeners[0].bind: \"localhost\" is not an address: write \"127.0.0.1:1883\" or "
     "\"[::1]:1883\""},
    {"listeners:\n  - {name: a, bind: '127.0.0.1:70000'}",
     "s.yaml:2: listeners[0].bind: \"127.0.0.1:70000\" is not an address: write "
     "\"127.0.0.1:1883\" or \"[::1]:1883\""},
    {"listeners:\n  - {name: a, bind: '127.0.0.1:1', transport: quic}",
     "s.yaml:2: listeners[0].transport must be one of tcp, tls, not \"quic\""},
    {"listeners:\n  - {name: a, bind: '127.0.0.1:1', transport: tcp}",
     "s.yaml:2: listeners[0].authentication by certificate needs \"transport: tls\" with client "
     "certificates; write authentication: [anonymous] to let everybody in"},
    {"listeners:\n  - {name: a, bind: '127.0.0.1:1', authentication: [kerberos]}",
     "s.yaml:2: listeners[0].authentication must be one of certificate, password, jwt, anonymous, "
     "not \"kerberos\""},
    {"listeners:\n  - {name: a, bind: '0.0.0.0:1', transport: tcp, authentication: [password]}",
     "s.yaml:2: listeners[0].authentication by password or jwt needs \"transport: tls\", unless "
     "the "
     "listener is bound to 127.0.0.1 or [::1]"},
    {"listeners:\n  - {name: a, bind: '127.0.0.1:1', authentication: []}",
     "s.yaml:2: listeners[0].authentication must be a list, such as [certificate] or "
     "[anonymous]"},
    {"listeners:\n  - {name: a, bind: '127.0.0.1:1', authentication: [certificate, certificate]}",
     "s.yaml:2: listeners[0].authentication names a method twice"},
    {"listeners:\n  - {name: a, bind: '127.0.0.1:1', policy: 'No!'}",
     "s.yaml:2: listeners[0].policy must be device, open, service-read, service-write or the name "
     "of a policy, not \"No!\""},
    {"authentication:\n  issuers:\n    - {name: a, issuer: b, keys: c}",
     "s.yaml:3: authentication.issuers[0].audience is missing"},
    {"authentication:\n  issuers:\n    - {name: a, issuer: b, audience: d, keys: c, policy_claim: "
     "p}",
     "s.yaml:3: authentication.issuers[0].policy_claim and policies belong together: the claim may "
     "name only what is listed in policies"},
    {"admin: {audit_retention: 1h}",
     "s.yaml:1: admin.audit_retention must be between 1d and 36500d"},
    {"listeners:\n  - {name: a, bind: '127.0.0.1:1', tls: {certificate: x}}",
     "s.yaml:2: listeners[0].tls needs both certificate and private_key"},
    {"listeners:\n  - {name: a, bind: '127.0.0.1:1', transport: tcp, authentication: [anonymous], "
     "tls: {client_ca: x}}",
     "s.yaml:2: listeners[0].tls needs \"transport: tls\""},
    {"listeners:\n  - {name: a, bind: '127.0.0.1:1'}\n  - {name: a, bind: '127.0.0.1:2'}",
     "s.yaml:3: there are two listeners with the name \"a\""},
    {"persistence: {sync: often}",
     "s.yaml:1: persistence.sync must be one of commit, interval, none, not \"often\""},
    {"persistence: {backup_keep: 0}",
     "s.yaml:1: persistence.backup_keep must be between 1 and 1000"},
    {"persistence: {backup_directory: ''}",
     "s.yaml:1: persistence.backup_directory must not be empty"},
    {"identity: {server_names: x}",
     "s.yaml:1: identity.server_names must be a list, such as [a, b]"},
    {"identity: {device_certificate_life: forever}",
     "s.yaml:1: identity.device_certificate_life must be a duration such as 100ms, 10s or 30d, "
     "not \"forever\""},
    {"twin: {series_max: 0}", "s.yaml:1: twin.series_max must be between 1 and 100000000"},
    {"twin: {series_rules: {}}",
     "s.yaml:1: twin.series_rules must be a list of at most 1000 rules"},
    {"twin:\n  series_rules:\n    - {raw: 1h}",
     "s.yaml:3: twin.series_rules[0].raw must be between 1d and 36500d"},
    {"twin:\n  series_rules:\n    - {raw: 30d, minutes: 7d}",
     "s.yaml:3: twin.series_rules[0].minutes must not be shorter than raw"},
    {"twin:\n  series_rules:\n    - {raw: 30d}\n    - {key: ''}",
     "s.yaml:4: twin.series_rules[1].key must not be empty"},
    {"identity: {renew_after: '0.66'}",
     "s.yaml:1: identity.renew_after must be a whole number from 0% to 100%, not \"0.66\""},
    {"identity: {renew_after: 101%}",
     "s.yaml:1: identity.renew_after must be a whole number from 0% to 100%, not \"101%\""},
    {"identity: {crl_url: gateway/crl}",
     "s.yaml:1: identity.crl_url must be a URL with http:// or https://"},
    {"identity: {enrolment: {mode: open}}",
     "s.yaml:1: identity.enrolment.mode must be one of strict, approval, not \"open\""},
    {"admin: {bind: 8443}",
     "s.yaml:1: admin.bind: \"8443\" is not an address: write \"127.0.0.1:1883\" or "
     "\"[::1]:1883\""},
};

}  // namespace

TEST_CASE("every mistake gets its sentence with file and line") {
  for (const Mistake& mistake : mistakes) {
    CAPTURE(mistake.text);
    CHECK(error_of(mistake.text) == mistake.sentence);
  }
}

TEST_CASE("what is not YAML is refused with its line") {
  CHECK(error_of("a: b\nc: [").rfind("s.yaml:2: this is not YAML: ", 0) == 0);
  CHECK(error_of("a: 'b").rfind("s.yaml:1: this is not YAML: ", 0) == 0);
  CHECK(error_of(std::string(5'000, '[')) != "no error");
}

TEST_CASE("the default configuration survives being printed and read") {
  const std::string text = configuration_text(default_configuration());
  CHECK(configuration_text(parse_configuration(text, "default")) == text);
  CHECK(configuration_text(parse_configuration("", "empty")) == text);
  CHECK(configuration_text(parse_configuration("# nothing\n", "comment")) == text);
}

TEST_CASE("limits of the doors and of what a client may send, and those of one listener") {
  const Configuration configuration = parse_configuration(R"(
limits: {bytes_per_second: 64KiB, handshake_cpu_percent: 25, handshake_wait_max: 5s,
         address_bits_v4: 24, accepts_per_second: 0, connects_per_minute: 30}
listeners:
  - name: local
    bind: 127.0.0.1:1883
    limits: {connections_max: 50, messages_per_second: 10, rate_policy: disconnect}
  - {name: other, bind: '127.0.0.1:1884', limits: {connections_max: 5, output_bytes_max: 64MiB}}
)",
                                                          "doors");
  const Limits& limits = configuration.limits;
  CHECK(limits.rates.bytes_per_second == 64 * 1024);
  CHECK(limits.rates.messages_per_second == 0);
  CHECK(limits.handshake_cpu_percent == 25);
  CHECK(limits.handshake_wait_max == std::chrono::seconds(5));
  CHECK(limits.address_bits_v4 == 24);
  CHECK(limits.accepts_per_second == 0);
  CHECK(limits.connects_per_minute == 30);
  const ListenerLimits& own = configuration.listeners[0].limits;
  CHECK(own.connections_max == 50);
  REQUIRE(own.rates);
  CHECK(own.rates->messages_per_second == 10);
  CHECK(own.rates->bytes_per_second == 64 * 1024);  // as for all
  CHECK(own.rates->policy == RatePolicy::disconnect);
  CHECK(!configuration.listeners[1].limits.rates);
  CHECK(own.output_bytes_max == 0);
  CHECK(configuration.listeners[1].limits.output_bytes_max == 64 * 1024 * 1024);
  const std::string text = configuration_text(configuration);
  CHECK(configuration_text(parse_configuration(text, "printed")) == text);
}

TEST_CASE("a full configuration survives being printed and read") {
  const Configuration configuration = parse_configuration(R"(
data_dir: "/var/lib/it's here"
cores: {count: 2, pin: true}
log: {level: debug, format: json}
listeners:
  - name: local
    bind: 127.0.0.1:1883
    transport: tcp
    authentication: [anonymous]
    policy: open
    domain: shop
  - name: both
    bind: "[::1]:8883"
    authentication: [certificate, anonymous]
    tls: {certificate: /c.pem, private_key: /k.pem, client_ca: /ca.pem}
limits: {packet_size_max: 1MiB, session_expiry_max: 1h, connect_timeout: 500ms, keep_alive_max: 0s}
persistence: {sync: interval, interval: 250ms, backup_directory: "/var/b it's", backup_keep: 3}
twin:
  series_max: 5000
  series_rules:
    - {device: "lab-*", key: '*', raw: 7d, minutes: 30d, hours: 365d}
    - {key: temperature, resolution: 1s}
identity:
  enrolment: {bind: 127.0.0.1:0, mode: approval}
  server_names: [gateway.example, 192.0.2.1]
  device_certificate_life: 7d
  renew_after: 50%
  renew_grace: 1d
  key_overlap: 1h
  crl_url: https://gateway.example:8444/crl/device.crl
  crl_interval: 12h
admin: {bind: 127.0.0.1:9443}
metrics: {bind: 0.0.0.0:9000}
)",
                                                          "full");
  CHECK(configuration.data_dir == "/var/lib/it's here");
  CHECK(configuration.cores == 2);
  CHECK(configuration.pin_cores);
  REQUIRE(configuration.listeners.size() == 2);
  CHECK(!configuration.listeners[0].tls);
  CHECK(configuration.listeners[0].domain == "shop");
  CHECK(configuration.listeners[1].domain == "both");
  CHECK(configuration.listeners[1].client_certificate == transport::ClientCertificate::optional);
  CHECK(configuration.limits.packet_size_max == 1024 * 1024);
  CHECK(configuration.limits.session_expiry_max_seconds == 3'600);
  CHECK(configuration.limits.connect_timeout == Milliseconds(500));
  CHECK(configuration.persistence.sync == storage::SyncMode::interval);
  CHECK(configuration.persistence.backup_directory == "/var/b it's");
  CHECK(configuration.persistence.backup_keep == 3);
  CHECK(configuration.identity.server_names.size() == 2);
  REQUIRE(configuration.twin.series_rules.size() == 2);
  CHECK(configuration.twin.series_rules[0].minutes == Milliseconds(std::chrono::days{30}));
  CHECK_FALSE(configuration.twin.series_rules[0].days);
  CHECK(configuration.twin.series_rules[1].resolution == Milliseconds(1'000));
  CHECK(configuration.identity.enrolment_mode == auth::EnrolmentMode::approval);
  CHECK(configuration.identity.renew_after_percent == 50);
  CHECK(configuration.identity.renew_grace == std::chrono::days{1});
  CHECK(configuration.identity.key_overlap == std::chrono::hours{1});
  CHECK(configuration.identity.crl_url == "https://gateway.example:8444/crl/device.crl");
  CHECK(configuration.identity.crl_interval == std::chrono::hours{12});
  const std::string text = configuration_text(configuration);
  CHECK(configuration_text(parse_configuration(text, "printed")) == text);
  CHECK(parse_configuration(text, "printed").twin.series_rules == configuration.twin.series_rules);
}

TEST_CASE("a revocation list belongs to a listener that lets in by certificate") {
  const std::string listener =
      "listeners:\n  - {name: plant, bind: 0.0.0.0:8885, transport: tls, tls: {client_ca: ca.pem, "
      "crl: /etc/skerry/plant.crl}";
  const Configuration configuration = parse_configuration(listener + "}\n", "s.yaml");
  REQUIRE(configuration.listeners.size() == 1);
  CHECK(configuration.listeners[0].crl == "/etc/skerry/plant.crl");
  CHECK(configuration.listeners[0].client_ca == "ca.pem");
  const std::string text = configuration_text(configuration);
  CHECK(parse_configuration(text, "printed").listeners[0].crl == "/etc/skerry/plant.crl");
  CHECK(configuration_text(parse_configuration(text, "printed")) == text);
  CHECK(parse_configuration("{}", "s.yaml").listeners.front().crl.empty());
  CHECK_THROWS_WITH_AS(parse_configuration(listener + ", authentication: [password]}\n", "s.yaml"),
                       "s.yaml:2: listeners[0].tls.crl needs authentication by certificate",
                       ConfigurationError);
  CHECK_THROWS_AS(parse_configuration("listeners:\n  - {name: a, bind: 0.0.0.0:1, transport: tls, "
                                      "tls: {crl: [a, b]}}\n",
                                      "s.yaml"),
                  ConfigurationError);
}

TEST_CASE("an issuer bounds the life of its tokens and gives its name to its services") {
  const auto issuer = [](const std::string& more, const std::string& name = "plant") {
    return parse_configuration("authentication:\n  issuers:\n    - {name: " + name +
                                   ", issuer: b, audience: d, keys: c" + more + "}\n",
                               "s.yaml")
        .authentication.issuers.front();
  };
  CHECK(issuer("").max_life == std::chrono::hours{24});
  CHECK(issuer(", max_life: 10min").max_life == std::chrono::minutes{10});
  for (const char* wrong : {"0s", "1ms", "99999d", "long"}) {
    CHECK_THROWS_AS(issuer(std::string{", max_life: "} + wrong), ConfigurationError);
  }
  CHECK_THROWS_WITH_AS(issuer("", "\"our plant\""),
                       "s.yaml:3: authentication.issuers[0].name must be like the id of a device, "
                       "since it becomes part of the names of services, or service_prefix be set",
                       ConfigurationError);
  CHECK(issuer(", service_prefix: plant-", "\"our plant\"").service_prefix == "plant-");
}

TEST_CASE("a file that is not there is named") {
  CHECK_THROWS_WITH_AS(load_configuration("/nowhere/s.yaml"),
                       "/nowhere/s.yaml: cannot be read: No such file or directory",
                       ConfigurationError);
}

TEST_CASE("durations and sizes are read with their units and nothing else") {
  CHECK(parse_duration("100ms") == Milliseconds(100));
  CHECK(parse_duration("2min") == Milliseconds(120'000));
  CHECK(parse_duration("30d") == std::chrono::days{30});
  for (const char* wrong : {"", "s", "1", "-1s", "1 s", "1S", "99999999999999999999s", "1.5s"}) {
    CHECK(!parse_duration(wrong));
  }
  CHECK(parse_size("0") == 0);
  CHECK(parse_size("64KiB") == 65'536);
  for (const char* wrong : {"", "KiB", "1KB", "-1", "99999999999GiB"}) {
    CHECK(!parse_size(wrong));
  }
  CHECK(format_duration(Milliseconds(90'000)) == "90s");
  CHECK(format_duration(Milliseconds(0)) == "0ms");
  CHECK(format_size(3 * 1024 * 1024) == "3MiB");
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("", "abc") == 3);
}

}  // namespace skerry::app
