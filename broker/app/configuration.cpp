// Reading the YAML file, section by section.
#include "app/configuration.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "app/configuration_access.hpp"
#include "app/configuration_limits.hpp"
#include "app/configuration_policies.hpp"
#include "app/configuration_section.hpp"
#include "app/configuration_twin.hpp"
#include "app/configuration_value.hpp"
#include "base/backup_limits.hpp"
#include "net/address.hpp"

namespace skerry::app {

namespace {

constexpr std::uint64_t day_milliseconds = 86'400'000;
constexpr std::size_t crl_url_bytes_max = 1024;

void check_address(const Section& section, std::string_view key, const std::string& text) {
  if (const auto address = net::parse_address(text); address.has_error()) {
    section.fail(section.value(key), section.qualified(key) + ": " + address.error());
  }
}

void read_bind(const Section& section, std::string& target) {
  section.read("bind", target);
  if (section.value("bind")) {
    check_address(section, "bind", target);
  }
}

void read_cores(const Section& top, Configuration& configuration) {
  const YAML::Node node = top.value("cores");
  if (!node) {
    return;
  }
  const bool has_pin = node.IsMap();
  const Section section = has_pin ? Section(top.file(), "cores", node, {"count", "pin"}) : top;
  const std::string_view key = has_pin ? "count" : "cores";
  if (has_pin) {
    section.read("pin", configuration.pin_cores);
  }
  const YAML::Node count = section.value(key);
  if (!count || (count.IsScalar() && count.Scalar() == "auto")) {
    return;
  }
  if (count.IsScalar() && count.Scalar().find_first_not_of("0123456789") != std::string::npos) {
    section.fail(count, section.qualified(key) + " must be auto or a whole number, not \"" +
                            count.Scalar() + "\"");
  }
  configuration.cores = static_cast<std::uint16_t>(section.read_number(key, 1, {1, 256}));
}

void read_log(const Section& top, LogConfiguration& log) {
  const YAML::Node node = top.value("log");
  if (!node) {
    return;
  }
  const Section section(top.file(), "log", node, {"level", "format"});
  section.read_choice<LogLevel>("level", log.level,
                                {{"debug", LogLevel::debug},
                                 {"information", LogLevel::information},
                                 {"warning", LogLevel::warning},
                                 {"error", LogLevel::error}});
  section.read_choice<LogFormat>(
      "format", log.format,
      {{"auto", LogFormat::automatic}, {"json", LogFormat::json}, {"text", LogFormat::text}});
}

void read_authentication(const Section& section, ListenerConfiguration& listener) {
  const YAML::Node node = section.value("authentication");
  if (!node) {
    return;
  }
  if (!node.IsSequence() || node.size() == 0) {
    section.fail(node, section.qualified("authentication") +
                           " must be a list, such as [certificate] or [anonymous]");
  }
  listener.authentication.clear();
  for (const auto& each : node) {
    const auto method =
        section.choose<AuthenticationMethod>(each, section.qualified("authentication"),
                                             {{"certificate", AuthenticationMethod::certificate},
                                              {"password", AuthenticationMethod::password},
                                              {"jwt", AuthenticationMethod::jwt},
                                              {"anonymous", AuthenticationMethod::anonymous}});
    for (const AuthenticationMethod earlier : listener.authentication) {
      if (earlier == method) {
        section.fail(each, section.qualified("authentication") + " names a method twice");
      }
    }
    listener.authentication.push_back(method);
  }
}

bool has_method(const ListenerConfiguration& listener, AuthenticationMethod wanted) {
  for (const AuthenticationMethod method : listener.authentication) {
    if (method == wanted) {
      return true;
    }
  }
  return false;
}

void read_tls(const Section& section, ListenerConfiguration& listener) {
  const bool by_certificate = has_method(listener, AuthenticationMethod::certificate);
  const bool others_too = listener.authentication.size() > 1;
  listener.client_certificate = !by_certificate ? transport::ClientCertificate::none
                                : others_too    ? transport::ClientCertificate::optional
                                                : transport::ClientCertificate::required;
  const YAML::Node node = section.value("tls");
  if (!node) {
    return;
  }
  const Section tls(section.file(), section.qualified("tls"), node,
                    {"certificate", "private_key", "client_ca", "crl", "client_certificate"});
  tls.read("certificate", listener.certificate);
  tls.read("private_key", listener.private_key);
  tls.read("client_ca", listener.client_ca);
  tls.read("crl", listener.crl);
  tls.read_choice<transport::ClientCertificate>(
      "client_certificate", listener.client_certificate,
      {{"required", transport::ClientCertificate::required},
       {"optional", transport::ClientCertificate::optional},
       {"none", transport::ClientCertificate::none}});
  if (listener.certificate.empty() != listener.private_key.empty()) {
    section.fail(node, section.qualified("tls") + " needs both certificate and private_key");
  }
  if (!listener.crl.empty() && !by_certificate) {
    section.fail(node, tls.qualified("crl") + " needs authentication by certificate");
  }
}

/// Nobody else reads along there.
bool is_loopback(const std::string& bind) {
  return bind.starts_with("127.") || bind.starts_with("[::1]:") || bind.starts_with("localhost:");
}

void check_listener(const Section& section, const YAML::Node& node,
                    const ListenerConfiguration& listener) {
  if (!listener.tls && section.value("tls")) {
    section.fail(section.value("tls"), section.qualified("tls") + " needs \"transport: tls\"");
  }
  const bool is_secret = has_method(listener, AuthenticationMethod::password) ||
                         has_method(listener, AuthenticationMethod::jwt);
  if (is_secret && !listener.tls && !is_loopback(listener.bind)) {
    section.fail(node, section.qualified("authentication") +
                           " by password or jwt needs \"transport: tls\", unless the listener is "
                           "bound to 127.0.0.1 or [::1]");
  }
  const bool asks =
      listener.tls && listener.client_certificate != transport::ClientCertificate::none;
  if (has_method(listener, AuthenticationMethod::certificate) && !asks) {
    section.fail(node, section.qualified("authentication") +
                           " by certificate needs \"transport: tls\" with client certificates; "
                           "write authentication: [anonymous] to let everybody in");
  }
}

void read_listener_policy(const Section& section, ListenerConfiguration& listener) {
  std::string name = "device";
  section.read("policy", name);
  const YAML::Node node = section.value("policy");
  listener.policy_line = node ? static_cast<unsigned>(std::max(node.Mark().line, 0) + 1) : 0;
  if (const auto builtin = auth::builtin_policy(name)) {
    listener.policy = *builtin;
    return;
  }
  if (!auth::is_valid_policy_name(name)) {
    section.fail(node, section.qualified("policy") +
                           " must be device, open, service-read, service-write or the name of a "
                           "policy, not \"" +
                           name + "\"");
  }
  listener.policy = plugin::PolicyKind::named;
  listener.policy_name = name;
}

ListenerConfiguration read_listener(const std::string& name, std::size_t index,
                                    const YAML::Node& node, const Limits& limits) {
  const Section section(
      name, "listeners[" + std::to_string(index) + "]", node,
      {"name", "bind", "transport", "tls", "authentication", "policy", "domain", "limits"});
  ListenerConfiguration listener;
  for (const std::string_view key : {"name", "bind"}) {
    if (!section.value(key)) {
      section.fail(node, section.qualified(key) + " is missing");
    }
  }
  section.read("name", listener.name);
  read_bind(section, listener.bind);
  section.read_choice<bool>("transport", listener.tls, {{"tcp", false}, {"tls", true}});
  read_authentication(section, listener);
  if (listener.tls) {
    read_tls(section, listener);
  }
  read_listener_policy(section, listener);
  listener.domain = listener.name;
  section.read("domain", listener.domain);
  read_listener_limits(section, limits, listener.limits);
  check_listener(section, node, listener);
  return listener;
}

void read_listeners(const Section& top, Configuration& configuration) {
  const YAML::Node node = top.value("listeners");
  if (!node) {
    return;
  }
  if (!node.IsSequence() || node.size() == 0) {
    top.fail(node, "listeners must be a list of at least one listener");
  }
  configuration.listeners.clear();
  std::set<std::string> names;
  std::size_t index = 0;
  for (const auto& each : node) {
    configuration.listeners.push_back(
        read_listener(top.file(), index++, each, configuration.limits));
    const std::string& name = configuration.listeners.back().name;
    if (!names.insert(name).second) {
      top.fail(each, "there are two listeners with the name \"" + name + "\"");
    }
  }
}

/// "auto", a size or a share: "256MiB", "5%".
storage::FreeSpaceMin read_free_space(const Section& section, const YAML::Node& node) {
  using Kind = storage::FreeSpaceMin::Kind;
  const std::string text = section.scalar(node, section.qualified("free_space_min"));
  if (text == "auto") {
    return {};
  }
  if (text.ends_with('%')) {
    const auto percent = parse_size(std::string_view(text).substr(0, text.size() - 1));
    if (percent && *percent <= 50) {
      return {Kind::percent, *percent};
    }
  } else if (const auto bytes = parse_size(text)) {
    return {Kind::bytes, *bytes};
  }
  section.fail(node, section.qualified("free_space_min") +
                         " is auto, a size like 256MiB, or a share from 0% to 50%, not \"" + text +
                         "\"");
}

void read_persistence(const Section& top, PersistenceConfiguration& persistence) {
  const YAML::Node node = top.value("persistence");
  if (!node) {
    return;
  }
  const Section section(top.file(), "persistence", node,
                        {"sync", "interval", "free_space_min", "backup_directory", "backup_keep"});
  section.read_choice<storage::SyncMode>("sync", persistence.sync,
                                         {{"commit", storage::SyncMode::commit},
                                          {"interval", storage::SyncMode::interval},
                                          {"none", storage::SyncMode::none}});
  persistence.interval = section.read_duration("interval", persistence.interval, {1, 60'000});
  if (const YAML::Node minimum = section.value("free_space_min")) {
    persistence.free_space_min = read_free_space(section, minimum);
  }
  section.read("backup_directory", persistence.backup_directory);
  persistence.backup_keep =
      section.read_number("backup_keep", persistence.backup_keep, {1, backups_kept_max});
}

/// A whole number of seconds, as the file has it in any unit.
void read_seconds(const Section& section, std::string_view key, std::chrono::seconds& target,
                  Section::Range range) {
  target =
      std::chrono::duration_cast<std::chrono::seconds>(section.read_duration(key, target, range));
}

/// "66%"
void read_percent(const Section& section, std::string_view key, unsigned& target) {
  const YAML::Node node = section.value(key);
  if (!node) {
    return;
  }
  const std::string text = section.scalar(node, section.qualified(key));
  unsigned percent = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, percent);
  if (parsed.ec != std::errc{} || end - parsed.ptr != 1 || *parsed.ptr != '%' || percent > 100) {
    section.fail(node, section.qualified(key) + " must be a whole number from 0% to 100%, not \"" +
                           text + "\"");
  }
  target = percent;
}

void read_enrolment(const Section& section, IdentityConfiguration& identity) {
  read_bind(section, identity.enrolment_bind);
  section.read_choice<auth::EnrolmentMode>(
      "mode", identity.enrolment_mode,
      {{"strict", auth::EnrolmentMode::strict}, {"approval", auth::EnrolmentMode::approval}});
}

void read_crl_url(const Section& section, std::string& url) {
  section.read("crl_url", url);
  const bool known = url.starts_with("http://") || url.starts_with("https://");
  const bool printable = std::all_of(
      url.begin(), url.end(), [](char character) { return character > ' ' && character < 127; });
  if (!url.empty() && (!known || !printable || url.size() > crl_url_bytes_max)) {
    section.fail(section.value("crl_url"),
                 section.qualified("crl_url") + " must be a URL with http:// or https://");
  }
}

void read_identity(const Section& top, IdentityConfiguration& identity) {
  const YAML::Node node = top.value("identity");
  if (!node) {
    return;
  }
  const Section section(
      top.file(), "identity", node,
      {"enrolment", "server_names", "device_certificate_life", "server_certificate_life",
       "renew_after", "renew_grace", "key_overlap", "crl_url", "crl_interval"});
  if (const YAML::Node enrolment = section.value("enrolment")) {
    read_enrolment(Section(top.file(), "identity.enrolment", enrolment, {"bind", "mode"}),
                   identity);
  }
  section.read("server_names", identity.server_names);
  read_seconds(section, "device_certificate_life", identity.device_certificate_life,
               {1'000, 3'650 * day_milliseconds});
  read_seconds(section, "server_certificate_life", identity.server_certificate_life,
               {60'000, 3'650 * day_milliseconds});
  read_percent(section, "renew_after", identity.renew_after_percent);
  read_seconds(section, "renew_grace", identity.renew_grace, {0, 3'650 * day_milliseconds});
  read_seconds(section, "key_overlap", identity.key_overlap, {0, day_milliseconds});
  read_crl_url(section, identity.crl_url);
  read_seconds(section, "crl_interval", identity.crl_interval, {10'000, 30 * day_milliseconds});
}

void read_port(const Section& top, std::string_view key, std::string& bind) {
  if (const YAML::Node node = top.value(key)) {
    read_bind(Section(top.file(), std::string(key), node, {"bind"}), bind);
  }
}

void read_admin(const Section& top, Configuration& configuration) {
  const YAML::Node node = top.value("admin");
  if (!node) {
    return;
  }
  const Section section(top.file(), "admin", node, {"bind", "audit_retention"});
  read_bind(section, configuration.admin_bind);
  configuration.audit_retention =
      section.read_duration("audit_retention", configuration.audit_retention,
                            {day_milliseconds, 36'500 * day_milliseconds});
}

Configuration read_file(const Section& top) {
  Configuration configuration = default_configuration();
  configuration.file = top.file();
  top.read("data_dir", configuration.data_dir);
  read_cores(top, configuration);
  read_log(top, configuration.log);
  if (const YAML::Node limits = top.value("limits")) {
    read_limits(top.file(), limits, configuration.limits);
  }
  read_listeners(top, configuration);
  read_persistence(top, configuration.persistence);
  if (const YAML::Node twin = top.value("twin")) {
    read_twin(top.file(), twin, configuration.twin);
  }
  read_identity(top, configuration.identity);
  read_access(top, configuration);
  read_admin(top, configuration);
  read_port(top, "metrics", configuration.metrics_bind);
  return configuration;
}

}  // namespace

Configuration default_configuration() {
  Configuration configuration;
  ListenerConfiguration devices;
  devices.name = "devices";
  devices.bind = "0.0.0.0:8883";
  devices.domain = devices.name;
  configuration.listeners.push_back(devices);
  return configuration;
}

Configuration parse_configuration(std::string_view text, const std::string& name) {
  try {
    const YAML::Node node = YAML::Load(std::string(text));
    if (!node || node.IsNull()) {
      return default_configuration();
    }
    return read_file(
        Section(name, "", node,
                {"data_dir", "cores", "log", "listeners", "authentication", "authorization",
                 "limits", "persistence", "twin", "identity", "admin", "metrics"}));
  } catch (const YAML::Exception& error) {
    throw ConfigurationError(name + ":" + std::to_string(error.mark.line + 1) +
                             ": this is not YAML: " + error.msg);
  }
}

Configuration load_configuration(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw ConfigurationError(path + ": cannot be read: " + std::strerror(errno));
  }
  std::string text(configuration_bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad() || text.size() > configuration_bytes_max) {
    throw ConfigurationError(path + ": cannot be read, or is larger than 1MiB");
  }
  Configuration configuration = parse_configuration(text, path);
  load_policies(configuration);
  return configuration;
}

}  // namespace skerry::app
