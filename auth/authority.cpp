#include "auth/authority.hpp"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include "auth/secret_file.hpp"
#include "base/assert.hpp"

namespace skerry::auth {

namespace {

constexpr auto clock_skew = std::chrono::minutes{5};
constexpr std::chrono::hours root_life = std::chrono::days{20 * 365 + 5};
constexpr std::chrono::hours authority_life = std::chrono::days{5 * 365 + 1};

struct Pair {
  crypto::Certificate certificate;
  crypto::PrivateKey key;
};

enum class KeyFile {
  needed,
  may_be_away,  ///< the pair then comes without a key
  may_not_fit,  ///< nullopt: a crash has left a new key beside an old certificate
};

template <typename T>
T value_or_throw(Result<T, crypto::Failure> result, const std::string& what) {
  if (!result) {
    throw std::runtime_error(what + ": " + result.error().what);
  }
  return std::move(*result);
}

/// nullopt when there is no certificate yet. The key stays empty when its file is away and may be.
std::optional<Pair> load_pair(const std::string& stem, KeyFile key_file) {
  const std::string certificate_path = stem + ".crt";
  const std::string key_path = stem + ".key";
  const std::optional<std::string> certificate_pem = read_file(certificate_path);
  if (!certificate_pem) {
    return std::nullopt;
  }
  Pair pair;
  pair.certificate = value_or_throw(crypto::Certificate::from_pem(*certificate_pem),
                                    "unusable certificate " + certificate_path);
  if (key_file == KeyFile::may_be_away && access(key_path.c_str(), R_OK) != 0) {
    return pair;
  }
  const std::optional<std::string> key_pem = read_file(key_path);
  if (!key_pem) {
    throw std::runtime_error("the private key " + key_path + " is missing although " +
                             certificate_path + " is there");
  }
  pair.key = value_or_throw(crypto::PrivateKey::from_pem(*key_pem), "unreadable key " + key_path);
  const auto fields =
      value_or_throw(pair.certificate.fields(), "unusable certificate " + certificate_path);
  if (fields.fingerprint != pair.key.fingerprint()) {
    if (key_file == KeyFile::may_not_fit) {
      return std::nullopt;
    }
    throw std::runtime_error("the private key " + key_path + " does not belong to " +
                             certificate_path);
  }
  return pair;
}

/// The key is stored first: a key without a certificate has signed nothing and is made anew.
void store_pair(const std::string& stem, const std::string& chain_pem,
                const crypto::PrivateKey& key) {
  write_file(stem + ".key", key.pem(), FileMode::secret);
  write_file(stem + ".crt", chain_pem, FileMode::open);
}

Pair make_authority(const std::string& stem, crypto::CertificateProfile profile,
                    const Pair* issuer) {
  Pair pair;
  pair.key = value_or_throw(crypto::PrivateKey::generate(), "no key for " + stem);
  profile.spki_der = pair.key.spki_der();
  profile.is_authority = true;
  pair.certificate = value_or_throw(
      crypto::issue_certificate(profile, issuer ? issuer->certificate : crypto::Certificate{},
                                issuer ? issuer->key : pair.key),
      "no certificate for " + stem);
  store_pair(stem, pair.certificate.pem(), pair.key);
  return pair;
}

crypto::CertificateProfile authority_profile(const char* name, std::chrono::hours life,
                                             WallTime now) {
  crypto::CertificateProfile profile;
  profile.common_name = name;
  profile.not_before = now - clock_skew;
  profile.not_after = now + life;
  return profile;
}

bool is_address(const std::string& name) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, name.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

/// As it will stand in the certificate: addresses in the form in which they are read back.
std::string canonical(const std::string& name) {
  unsigned char bytes[16];
  char text[INET6_ADDRSTRLEN] = {};
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, name.c_str(), bytes) == 1 &&
        inet_ntop(family, bytes, text, sizeof text) != nullptr) {
      return text;
    }
  }
  return name;
}

bool is_dns_name(const std::string& name) {
  return !name.empty() && name.size() <= 253 && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char character) {
           return (character >= 'a' && character <= 'z') ||
                  (character >= 'A' && character <= 'Z') ||
                  (character >= '0' && character <= '9') || character == '-' || character == '.' ||
                  character == '_' || character == '*';
         });
}

/// What server certificates are called: a name of at most 64 bytes, since CN has that bound.
std::string common_name_of(const std::vector<std::string>& names) {
  const auto fits = std::find_if(names.begin(), names.end(),
                                 [](const std::string& name) { return name.size() <= 64; });
  return fits == names.end() ? "skerry" : *fits;
}

crypto::CertificateProfile server_profile(const std::vector<std::string>& names) {
  crypto::CertificateProfile profile;
  profile.common_name = common_name_of(names);
  profile.server_authentication = true;
  for (const std::string& name : names) {
    if (is_address(name)) {
      profile.addresses.push_back(name);
    } else if (is_dns_name(name)) {
      profile.dns_names.push_back(name);
    } else {
      throw std::runtime_error("'" + name + "' is neither a DNS name nor an IP address");
    }
  }
  return profile;
}

bool has_names(const crypto::CertificateFields& fields, const std::vector<std::string>& names) {
  return std::all_of(names.begin(), names.end(), [&fields](const std::string& name) {
    const auto& list = is_address(name) ? fields.addresses : fields.dns_names;
    return std::find(list.begin(), list.end(), canonical(name)) != list.end();
  });
}

struct ClientName {
  std::string_view uri_prefix;
  std::string_view name;
};

crypto::CertificateProfile client_profile(ClientName name, std::string_view spki_der, WallTime now,
                                          std::chrono::seconds life) {
  crypto::CertificateProfile profile;
  profile.common_name = name.name;
  profile.organization = certificate_organization;
  profile.spki_der = spki_der;
  profile.not_before = now - clock_skew;
  profile.not_after = now + life;
  profile.client_authentication = true;
  profile.uris.push_back(std::string{name.uri_prefix}.append(name.name));
  return profile;
}

constexpr AuthorityFailure key_away{true, "the key of the device CA is not at hand"};

bool is_due(const ServerCertificate& certificate, WallTime now) {
  const auto life = certificate.not_after - certificate.not_before;
  return now >= certificate.not_before + life * 2 / 3;
}

}  // namespace

void throw_exception_from_error(const AuthorityFailure&, const boost::source_location& where) {
  assertion_failed("value of a failed signature", where.file_name(),
                   static_cast<int>(where.line()));
}

std::vector<std::string> default_server_names() {
  std::vector<std::string> names{"localhost", "127.0.0.1", "::1"};
  char host[256] = {};
  if (gethostname(host, sizeof host - 1) == 0 && is_dns_name(host) && host != names.front()) {
    names.emplace_back(host);
  }
  return names;
}

CertificateAuthority::CertificateAuthority(AuthorityOptions options, std::string directory)
    : options_(std::move(options)), directory_(std::move(directory)) {
  if (options_.server_names.empty()) {
    options_.server_names = default_server_names();
  }
}

std::unique_ptr<CertificateAuthority> CertificateAuthority::open(AuthorityOptions options,
                                                                 WallTime now) {
  const std::string directory = options.data_dir + "/ca";
  make_private_directory(directory);
  std::unique_ptr<CertificateAuthority> authority{
      new CertificateAuthority(std::move(options), directory)};
  authority->load_or_make_authorities(now);
  if (!authority->load_server_certificate(now)) {
    authority->issue_server_certificate({}, now);
  }
  return authority;
}

void CertificateAuthority::load_or_make_authorities(WallTime now) {
  std::optional<Pair> device = load_pair(directory_ + "/device-ca", KeyFile::may_be_away);
  std::optional<Pair> server = load_pair(directory_ + "/server-ca", KeyFile::needed);
  std::optional<Pair> root = load_pair(directory_ + "/root", KeyFile::may_be_away);
  if (!root && (device || server)) {
    throw std::runtime_error("the root certificate " + directory_ +
                             "/root.crt is missing although it has signed others");
  }
  if (!root) {
    root = make_authority(directory_ + "/root", authority_profile("Skerry Root CA", root_life, now),
                          nullptr);
  }
  if ((!device || !server) && !root->key) {
    throw std::runtime_error("the key " + directory_ +
                             "/root.key is needed to make a missing authority");
  }
  if (!device) {
    auto profile = authority_profile("Skerry Device CA", authority_life, now);
    profile.path_length = 0;
    profile.client_authentication = true;
    device = make_authority(directory_ + "/device-ca", std::move(profile), &*root);
  }
  if (!server) {
    auto profile = authority_profile("Skerry Server CA", authority_life, now);
    profile.path_length = 0;
    profile.server_authentication = true;
    server = make_authority(directory_ + "/server-ca", std::move(profile), &*root);
  }
  root_ = root->certificate;
  device_ca_ = device->certificate;
  device_ca_key_ = device->key;
  server_ca_ = server->certificate;
  server_ca_key_ = server->key;
}

bool CertificateAuthority::load_server_certificate(WallTime now) {
  const std::optional<Pair> pair = load_pair(directory_ + "/server", KeyFile::may_not_fit);
  if (!pair || !pair->certificate.is_signed_by(server_ca_)) {
    return false;
  }
  const auto fields = pair->certificate.fields();
  if (!fields || !has_names(*fields, options_.server_names)) {
    return false;
  }
  server_ = {pair->certificate.pem() + server_ca_.pem(), pair->key.pem(), fields->not_before,
             fields->not_after};
  return !is_due(server_, now);
}

crypto::PrivateKey CertificateAuthority::device_ca_key() const {
  const std::lock_guard lock{key_mutex_};
  if (!device_ca_key_) {
    try {
      if (const std::optional<Pair> pair =
              load_pair(directory_ + "/device-ca", KeyFile::may_be_away)) {
        device_ca_key_ = pair->key;
      }
    } catch (const std::runtime_error&) {
      return {};  // half written, or not its key: as good as away
    }
  }
  return device_ca_key_;
}

bool CertificateAuthority::can_sign() const {
  return static_cast<bool>(device_ca_key());
}

Result<crypto::Certificate, AuthorityFailure> CertificateAuthority::issue(
    crypto::CertificateProfile profile) const {
  profile.crl_url = options_.crl_url;
  const crypto::PrivateKey key = device_ca_key();
  if (!key) {
    return key_away;
  }
  auto certificate = crypto::issue_certificate(profile, device_ca_, key);
  if (!certificate) {
    return AuthorityFailure{false, certificate.error().what};
  }
  return *std::move(certificate);
}

Result<crypto::Certificate, AuthorityFailure> CertificateAuthority::issue_device_certificate(
    std::string_view id, std::string_view spki_der, WallTime now) const {
  return issue(
      client_profile({device_uri_prefix, id}, spki_der, now, options_.device_certificate_life));
}

Result<crypto::Certificate, AuthorityFailure> CertificateAuthority::issue_service_certificate(
    std::string_view name, std::string_view spki_der, std::chrono::seconds life,
    WallTime now) const {
  return issue(client_profile({service_uri_prefix, name}, spki_der, now, life));
}

Result<std::string, AuthorityFailure> CertificateAuthority::sign_crl(
    const crypto::CrlProfile& profile) const {
  const crypto::PrivateKey key = device_ca_key();
  if (!key) {
    return key_away;
  }
  auto der = crypto::make_crl(profile, device_ca_, key);
  if (!der) {
    return AuthorityFailure{false, der.error().what};
  }
  return *std::move(der);
}

ServerCertificate CertificateAuthority::server_certificate() const {
  const std::lock_guard lock{mutex_};
  return server_;
}

bool CertificateAuthority::reissue_due(WallTime now) const {
  const std::lock_guard lock{mutex_};
  return is_due(server_, now);
}

ServerCertificate CertificateAuthority::issue_server_certificate(std::vector<std::string> names,
                                                                 WallTime now) {
  const std::lock_guard one_at_a_time{issue_mutex_};
  crypto::CertificateProfile profile =
      server_profile(names.empty() ? options_.server_names : names);
  const auto key = value_or_throw(crypto::PrivateKey::generate(), "no key for the server");
  profile.spki_der = key.spki_der();
  profile.not_before = now - clock_skew;
  profile.not_after = now + options_.server_certificate_life;
  const auto certificate = value_or_throw(
      crypto::issue_certificate(profile, server_ca_, server_ca_key_), "no server certificate");
  const auto fields = value_or_throw(certificate.fields(), "no server certificate");
  ServerCertificate issued{certificate.pem() + server_ca_.pem(), key.pem(), fields.not_before,
                           fields.not_after};
  store_pair(directory_ + "/server", issued.chain_pem, key);
  const std::lock_guard lock{mutex_};
  server_ = issued;
  return issued;
}

}  // namespace skerry::auth
