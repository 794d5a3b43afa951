// The device's key and certificate, in files that nobody else can read.
//
//   device.pem   key and certificate, replaced as one; missing until the device is enrolled
//   next.pem     the key that the next certificate is asked for, until it has come
//   root.crt     whom to trust, when the configuration gives a fingerprint alone
//
// A crash between any two steps leaves a pair that works, and the key that was asked for last: an
// answer that was lost is asked for again with the same key.
#pragma once

#include <optional>
#include <string>

#include "crypto/certificate.hpp"
#include "crypto/key.hpp"

namespace skerry::agent {

struct Credential {
  crypto::PrivateKey key;
  crypto::Certificate certificate;
  crypto::CertificateFields fields;
};

/// One thread. Throws std::system_error when files cannot be written, std::runtime_error otherwise.
class IdentityStore {
 public:
  /// `directory` exists. A device.pem that cannot be used is put aside as device.pem.damaged.
  IdentityStore(std::string directory, std::string device);

  const std::optional<Credential>& current() const noexcept { return current_; }

  /// The key of next.pem, made if there is none.
  crypto::PrivateKey next_key();
  /// The key by which the device is or will be known: that of its certificate, else the next one.
  crypto::PrivateKey key() { return current_ ? current_->key : next_key(); }

  /// Takes a certificate that has been issued. Throws when it is not over `key`, for another
  /// device, or nothing that opens an MQTT connection; what is there then stays.
  void install(const crypto::PrivateKey& key, const crypto::Certificate& certificate);

  /// PEM of key and certificate for TLS; made by install().
  std::string credential_path() const { return directory_ + "/device.pem"; }
  std::string roots_path() const { return directory_ + "/root.crt"; }

 private:
  std::string next_path() const { return directory_ + "/next.pem"; }

  std::string directory_;
  std::string device_;
  std::optional<Credential> current_;
};

}  // namespace skerry::agent
