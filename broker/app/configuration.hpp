// Configuration: what skerryd is told by its one YAML file, with every default in one place. An
// option that does nothing does not exist: what is not listed here is refused by name.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "auth/enrolment_mode.hpp"
#include "auth/policy_source.hpp"
#include "base/limits.hpp"
#include "plugin/identity.hpp"
#include "storage/committer.hpp"
#include "storage/space_watch.hpp"
#include "transport/tls_context.hpp"
#include "twin/series/rule.hpp"

namespace skerry::app {

/// A mistake in the configuration; what() is "file:line: sentence".
class ConfigurationError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class LogLevel : std::uint8_t { debug, information, warning, error };
enum class LogFormat : std::uint8_t {
  automatic,  ///< text on a terminal, JSON elsewhere
  json,
  text,
};

struct LogConfiguration {
  LogLevel level = LogLevel::information;
  LogFormat format = LogFormat::automatic;
};

enum class AuthenticationMethod : std::uint8_t { certificate, password, jwt, anonymous };

/// What a listener has in place of the limits of all.
struct ListenerLimits {
  std::uint32_t connections_max = 0;  ///< 0: what the server has
  std::size_t output_bytes_max = 0;   ///< unsent, of all its connections; 0: any amount
  std::optional<RateLimits> rates;
};

struct ListenerConfiguration {
  std::string name;
  std::string bind;
  bool tls = true;
  std::string certificate;  ///< PEM file; empty: the server certificate of our own CA
  std::string private_key;
  std::string client_ca;  ///< PEM file; empty: our own device CA
  std::string crl;        ///< PEM or DER file of that CA's revocation lists; empty: none
  transport::ClientCertificate client_certificate = transport::ClientCertificate::required;
  std::vector<AuthenticationMethod> authentication{AuthenticationMethod::certificate};
  plugin::PolicyKind policy = plugin::PolicyKind::device;
  std::string policy_name;   ///< with PolicyKind::named
  unsigned policy_line = 0;  ///< where the file names it
  std::string domain;        ///< empty in the file: the listener's name
  ListenerLimits limits;
};

/// Who signs tokens that services show; see auth/jwt.hpp.
struct IssuerConfiguration {
  std::string name;
  std::string issuer;
  std::string audience = "skerry";
  std::string keys;  ///< file: PEM, or a JWK Set
  std::chrono::seconds leeway{60};
  std::chrono::seconds max_life = std::chrono::hours{24};
  std::string service_claim = "sub";
  std::string service_prefix;
  std::string policy = "service-read";
  std::string policy_claim;
  std::vector<std::string> policies;
  unsigned line = 0;
};

struct AuthenticationConfiguration {
  std::vector<IssuerConfiguration> issuers;
};

struct IdentityConfiguration {
  std::string enrolment_bind = "0.0.0.0:8444";
  auth::EnrolmentMode enrolment_mode = auth::EnrolmentMode::strict;
  std::vector<std::string> server_names;  ///< empty: this host's
  std::chrono::seconds device_certificate_life = std::chrono::days{30};
  std::chrono::seconds server_certificate_life = std::chrono::days{90};
  unsigned renew_after_percent = 66;  ///< of a device certificate's life
  std::chrono::seconds renew_grace = std::chrono::days{90};
  std::chrono::seconds key_overlap = std::chrono::hours{24};
  std::string crl_url;  ///< written into certificates; empty: no distribution point
  std::chrono::seconds crl_interval = std::chrono::hours{24};
};

struct PersistenceConfiguration {
  storage::SyncMode sync = storage::SyncMode::commit;
  std::chrono::milliseconds interval{100};
  storage::FreeSpaceMin free_space_min;
  std::string backup_directory;  ///< empty: `backups` in the data directory
  std::size_t backup_keep = 7;   ///< the oldest go when there are more
};

/// What becomes of a session's queue when its certificate is revoked or its device suspended.
enum class OnRevocation : std::uint8_t { drop, keep };

struct AuthorizationConfiguration {
  OnRevocation on_revocation = OnRevocation::drop;
  std::vector<std::string> policy_files;  ///< files and directories
  std::vector<auth::PolicySource> policies;
};

struct TwinConfiguration {
  std::size_t series_max = 1'000'000;
  std::size_t series_per_device_max = 1'000;
  std::vector<twin::series::SeriesRule> series_rules;  ///< none: everything is kept for good
  bool presence = true;  ///< publish the retained `devices/{id}/presence`
};

struct Configuration {
  std::string data_dir = "./skerry-data";
  std::optional<std::uint16_t> cores;  ///< nullopt: auto
  bool pin_cores = false;
  LogConfiguration log;
  std::vector<ListenerConfiguration> listeners;
  Limits limits;
  PersistenceConfiguration persistence;
  AuthorizationConfiguration authorization;
  TwinConfiguration twin;
  IdentityConfiguration identity;
  AuthenticationConfiguration authentication;
  std::string file;  ///< where it came from, for sentences
  std::string admin_bind = "0.0.0.0:8443";
  std::chrono::milliseconds audit_retention = std::chrono::days{365};
  std::string metrics_bind = "127.0.0.1:9464";
};

/// What skerryd does without a file: one mutual TLS listener for devices.
Configuration default_configuration();

/// Reads a configuration. `name` stands for the file in errors. Throws ConfigurationError.
Configuration parse_configuration(std::string_view text, const std::string& name);

/// Reads the file at `path`, at most configuration_bytes_max, and the policy files that it names.
/// Throws ConfigurationError.
Configuration load_configuration(const std::string& path);

inline constexpr std::size_t configuration_bytes_max = 1024 * 1024;

/// The configuration as a commented YAML file that parse_configuration() reads back to the same.
std::string configuration_text(const Configuration& configuration);

}  // namespace skerry::app
