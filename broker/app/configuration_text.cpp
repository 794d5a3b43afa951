// Printing a configuration as the file that would say the same.
#include "app/configuration_access.hpp"
#include "app/configuration_limits.hpp"
#include "app/configuration_twin.hpp"
#include "app/configuration_value.hpp"

namespace skerry::app {

namespace {

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::information:
      return "information";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return {};
}

std::string_view name_of(LogFormat format) {
  switch (format) {
    case LogFormat::automatic:
      return "auto";
    case LogFormat::json:
      return "json";
    case LogFormat::text:
      return "text";
  }
  return {};
}

std::string_view name_of(storage::SyncMode mode) {
  switch (mode) {
    case storage::SyncMode::commit:
      return "commit";
    case storage::SyncMode::interval:
      return "interval";
    case storage::SyncMode::none:
      return "none";
  }
  return {};
}

std::string_view name_of(transport::ClientCertificate mode) {
  switch (mode) {
    case transport::ClientCertificate::required:
      return "required";
    case transport::ClientCertificate::optional:
      return "optional";
    case transport::ClientCertificate::none:
    case transport::ClientCertificate::any_self_signed:
      return "none";
  }
  return {};
}

std::string_view name_of(AuthenticationMethod method) {
  switch (method) {
    case AuthenticationMethod::certificate:
      return "certificate";
    case AuthenticationMethod::password:
      return "password";
    case AuthenticationMethod::jwt:
      return "jwt";
    case AuthenticationMethod::anonymous:
      return "anonymous";
  }
  return {};
}

std::string listener_text(const ListenerConfiguration& listener) {
  std::string text = "  - name: " + quoted(listener.name) + "\n    bind: " + quoted(listener.bind) +
                     "\n    transport: " + (listener.tls ? "tls" : "tcp") + "\n";
  if (listener.tls) {
    text += "    tls:\n";
    if (!listener.certificate.empty()) {
      text += "      certificate: " + quoted(listener.certificate) +
              "\n      private_key: " + quoted(listener.private_key) + "\n";
    }
    if (!listener.client_ca.empty()) {
      text += "      client_ca: " + quoted(listener.client_ca) + "\n";
    }
    if (!listener.crl.empty()) {
      text += "      crl: " + quoted(listener.crl) + "\n";
    }
    text += "      client_certificate: " + std::string(name_of(listener.client_certificate)) + "\n";
  }
  std::string methods;
  for (const AuthenticationMethod method : listener.authentication) {
    methods += methods.empty() ? "" : ", ";
    methods += name_of(method);
  }
  return text + "    authentication: [" + methods +
         "]\n    policy: " + auth::policy_text(listener.policy, listener.policy_name) +
         "\n    domain: " + quoted(listener.domain) + "\n" + listener_limits_text(listener.limits);
}

std::string identity_text(const IdentityConfiguration& identity) {
  std::string names;
  for (const std::string& name : identity.server_names) {
    names += (names.empty() ? "" : ", ") + quoted(name);
  }
  const bool approval = identity.enrolment_mode == auth::EnrolmentMode::approval;
  return "identity:\n  enrolment:\n    bind: " + quoted(identity.enrolment_bind) +
         "\n    # strict: unknown keys are refused; approval: they wait for a human\n    mode: " +
         (approval ? "approval" : "strict") +
         "\n  # DNS names and addresses of the server certificate; []: those of this host\n"
         "  server_names: [" +
         names +
         "]\n  device_certificate_life: " + format_duration(identity.device_certificate_life) +
         "\n  server_certificate_life: " + format_duration(identity.server_certificate_life) +
         "\n  # renewed from this part of its life on, and for so long after its end\n"
         "  renew_after: " +
         std::to_string(identity.renew_after_percent) +
         "%\n  renew_grace: " + format_duration(identity.renew_grace) +
         "\n  # how long the old key of a rotation stays good, 24h at most\n  key_overlap: " +
         format_duration(identity.key_overlap) +
         (identity.crl_url.empty() ? "" : "\n  crl_url: " + quoted(identity.crl_url)) +
         "\n  crl_interval: " + format_duration(identity.crl_interval) + "\n";
}

std::string backups_text(const PersistenceConfiguration& persistence) {
  // An empty name would not be read back.
  const std::string directory =
      persistence.backup_directory.empty()
          ? "\n  # where backups are made; without it `backups` in the data directory"
            "\n  # backup_directory: '/var/backups/skerry'"
          : "\n  # where backups are made\n  backup_directory: " +
                quoted(persistence.backup_directory);
  return directory + "\n  # the oldest go when there are more\n  backup_keep: " +
         std::to_string(persistence.backup_keep);
}

std::string free_space_text(const storage::FreeSpaceMin& minimum) {
  switch (minimum.kind) {
    case storage::FreeSpaceMin::Kind::automatic:
      return "auto";
    case storage::FreeSpaceMin::Kind::bytes:
      return format_size(minimum.amount);
    case storage::FreeSpaceMin::Kind::percent:
      return std::to_string(minimum.amount) + "%";
  }
  return {};
}

}  // namespace

std::string configuration_text(const Configuration& configuration) {
  std::string text =
      "# Configuration of skerryd. Every key may be left out; these are the values then.\n"
      "data_dir: " +
      quoted(configuration.data_dir) + "\n\n# auto: what affinity and the cgroup's quota allow\n" +
      "cores:\n  count: " +
      (configuration.cores ? std::to_string(*configuration.cores) : std::string("auto")) +
      "\n  pin: " + (configuration.pin_cores ? "true" : "false") +
      "\n\nlog:\n  # debug, information, warning, error\n  level: " +
      std::string(name_of(configuration.log.level)) +
      "\n  # auto (text on a terminal, JSON elsewhere), json, text\n  format: " +
      std::string(name_of(configuration.log.format)) + "\n\nlisteners:\n";
  for (const ListenerConfiguration& listener : configuration.listeners) {
    text += listener_text(listener);
  }
  text += "\n" + limits_text(configuration.limits) +
          "\npersistence:\n"
          "  # commit: acknowledged means stored; interval, none: a power cut may lose that much;\n"
          "  # changes of identities and accounts are synced in every mode\n"
          "  sync: " +
          std::string(name_of(configuration.persistence.sync)) +
          "\n  interval: " + format_duration(configuration.persistence.interval) +
          "\n  # durable work is refused below: auto (256MiB, at most a tenth of the disk),\n"
          "  # a size, or a share like 5%; 0: never\n"
          "  free_space_min: " +
          free_space_text(configuration.persistence.free_space_min) +
          backups_text(configuration.persistence) + "\n\n";
  text += twin_text(configuration.twin) + "\n";
  return text + identity_text(configuration.identity) + "\n" + access_text(configuration) +
         "\nadmin:\n  bind: " + quoted(configuration.admin_bind) +
         "\n  # records of the audit are dropped at this age\n" +
         "  audit_retention: " + format_duration(configuration.audit_retention) +
         "\n\nmetrics:\n  bind: " + quoted(configuration.metrics_bind) + "\n";
}

}  // namespace skerry::app
