// CertificateAuthority: the gateway's own small PKI. One root signs a device CA (clientAuth only)
// and a separate server CA (serverAuth only), so neither kind of certificate passes for the other.
//
//   <data_dir>/ca/  root.crt root.key          20 years; the key may be moved away after first
//   start
//                   device-ca.crt device-ca.key  5 years, pathlen 0, EKU clientAuth; without the
//                                                key nobody enrols, and everybody else goes on
//                   server-ca.crt server-ca.key  5 years, pathlen 0, EKU serverAuth
//                   server.crt server.key      leaf and server CA, names from configuration
#pragma once

#include <boost/assert/source_location.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"
#include "base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/crl.hpp"
#include "crypto/key.hpp"

namespace skerry::auth {

/// "localhost", "127.0.0.1", "::1" and the name of this host: what a server certificate is made out
/// for when the configuration says nothing.
std::vector<std::string> default_server_names();

struct AuthorityOptions {
  std::string data_dir;
  /// DNS names and IP addresses of the server certificate; empty: default_server_names().
  std::vector<std::string> server_names;
  std::chrono::seconds device_certificate_life = std::chrono::days{30};
  std::chrono::seconds server_certificate_life = std::chrono::days{90};
  /// Where others find the device CA's revocation list; written into certificates. Empty: nowhere.
  std::string crl_url;
};

/// Why nothing was signed.
struct AuthorityFailure {
  /// The key of the device CA is not there; it is looked for again each time.
  bool unavailable = false;
  const char* what = "";  ///< static storage
};

[[noreturn]] void throw_exception_from_error(const AuthorityFailure& failure,
                                             const boost::source_location& where);

/// Names in the certificates of devices and services: what a renewal must not change.
inline constexpr std::string_view certificate_organization = "Skerry";
inline constexpr std::string_view device_uri_prefix = "urn:skerry:device:";
inline constexpr std::string_view service_uri_prefix = "urn:skerry:service:";

/// What a TLS listener needs.
struct ServerCertificate {
  std::string chain_pem;  ///< leaf, then server CA
  std::string private_key_pem;
  WallTime not_before{};
  WallTime not_after{};
};

/// All methods may be called on any thread at the same time, but signing takes up to a millisecond
/// and writing files blocks: not on a core.
class CertificateAuthority {
 public:
  /// Loads what is there and makes what is not: on first start root, both CAs and the server
  /// certificate, which is also made anew when names were added to the configuration or it is
  /// due. Blocks. Throws std::runtime_error with one sentence that names the file (unreadable,
  /// missing half of a pair, key that does not fit its certificate).
  static std::unique_ptr<CertificateAuthority> open(AuthorityOptions options, WallTime now);

  CertificateAuthority(const CertificateAuthority&) = delete;
  CertificateAuthority& operator=(const CertificateAuthority&) = delete;

  /// A certificate for device `id` (a valid device id) over its public key (SubjectPublicKeyInfo in
  /// DER): CN=<id>, O=Skerry, SAN URI urn:skerry:device:<id>, clientAuth. It is the caller's to
  /// record it in the registry before it is given to anybody.
  Result<crypto::Certificate, AuthorityFailure> issue_device_certificate(std::string_view id,
                                                                         std::string_view spki_der,
                                                                         WallTime now) const;

  /// The same for a back-end service, with SAN URI urn:skerry:service:<name> and a life of its own.
  Result<crypto::Certificate, AuthorityFailure> issue_service_certificate(std::string_view name,
                                                                          std::string_view spki_der,
                                                                          std::chrono::seconds life,
                                                                          WallTime now) const;

  /// The device CA's revocation list in DER; see crypto::make_crl for what it costs.
  Result<std::string, AuthorityFailure> sign_crl(const crypto::CrlProfile& profile) const;

  /// Is the device CA's key at hand? Looks for its file when it is not: may block.
  bool can_sign() const;

  /// What listeners show now.
  ServerCertificate server_certificate() const;

  /// True from two thirds of the server certificate's life.
  bool reissue_due(WallTime now) const;

  /// Makes a server certificate with a new key for `names` (empty: the configured ones), stores it
  /// and shows it from now on; hand the result to the listeners. Blocks on files. Throws
  /// std::runtime_error when it cannot be stored or a name is neither DNS name nor IP address; the
  /// old one then stays.
  ServerCertificate issue_server_certificate(std::vector<std::string> names, WallTime now);

  const crypto::Certificate& root() const noexcept { return root_; }
  /// What the MQTT listeners trust, as it stands (partial chain): `client_ca_pem` is its PEM.
  const crypto::Certificate& device_ca() const noexcept { return device_ca_; }
  const crypto::Certificate& server_ca() const noexcept { return server_ca_; }
  const std::string& directory() const noexcept { return directory_; }

 private:
  CertificateAuthority(AuthorityOptions options, std::string directory);
  void load_or_make_authorities(WallTime now);
  bool load_server_certificate(WallTime now);
  crypto::PrivateKey device_ca_key() const;
  Result<crypto::Certificate, AuthorityFailure> issue(crypto::CertificateProfile profile) const;

  AuthorityOptions options_;
  std::string directory_;
  crypto::Certificate root_;
  crypto::Certificate device_ca_;
  crypto::Certificate server_ca_;
  crypto::PrivateKey server_ca_key_;
  mutable std::mutex key_mutex_;  ///< guards device_ca_key_
  mutable crypto::PrivateKey device_ca_key_;
  mutable std::mutex mutex_;  ///< guards server_
  std::mutex issue_mutex_;    ///< one server certificate at a time
  ServerCertificate server_;
};

}  // namespace skerry::auth
