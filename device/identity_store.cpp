#include "device/identity_store.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include "device/file.hpp"
#include "device/limits.hpp"

namespace skerry::agent {

namespace {

std::optional<Credential> credential_of(const std::string& pem) {
  auto key = crypto::PrivateKey::from_pem(pem);
  auto certificate = crypto::Certificate::from_pem(pem);
  if (!key || !certificate) {
    return std::nullopt;
  }
  auto fields = certificate->fields();
  if (!fields || fields->spki_der != key->spki_der()) {
    return std::nullopt;
  }
  return Credential{*std::move(key), *std::move(certificate), *std::move(fields)};
}

}  // namespace

IdentityStore::IdentityStore(std::string directory, std::string device)
    : directory_(std::move(directory)), device_(std::move(device)) {
  const auto stored = read_file(credential_path(), file_bytes_max);
  if (!stored) {
    return;
  }
  current_ = credential_of(*stored);
  if (!current_) {
    std::rename(credential_path().c_str(), (credential_path() + ".damaged").c_str());
    return;
  }
  // Installed, and then the power went before its key was let go as the next one.
  const auto next = read_file(next_path(), file_bytes_max);
  const auto next_key = crypto::PrivateKey::from_pem(next.value_or(""));
  if (next_key && next_key->fingerprint() == current_->fields.fingerprint) {
    std::remove(next_path().c_str());
  }
}

crypto::PrivateKey IdentityStore::next_key() {
  if (const auto stored = read_file(next_path(), file_bytes_max)) {
    if (auto key = crypto::PrivateKey::from_pem(*stored)) {
      return *std::move(key);
    }
  }
  auto key = crypto::PrivateKey::generate();
  if (!key) {
    throw std::runtime_error("cannot make a key: " + std::string{key.error().what});
  }
  replace_file(next_path(), key->pem(), 0600);
  return *std::move(key);
}

void IdentityStore::install(const crypto::PrivateKey& key, const crypto::Certificate& certificate) {
  auto fields = certificate.fields();
  if (!fields || fields->spki_der != key.spki_der()) {
    throw std::runtime_error("the gateway answered with a certificate for another key");
  }
  const std::string uri = "urn:skerry:device:" + device_;
  if (std::find(fields->uris.begin(), fields->uris.end(), uri) == fields->uris.end()) {
    throw std::runtime_error("this key is known to the gateway as the device \"" +
                             fields->common_name + "\", not as \"" + device_ + "\"");
  }
  if (!fields->client_authentication) {
    throw std::runtime_error("the gateway answered with a certificate that is not for clients");
  }
  replace_file(credential_path(), key.pem() + certificate.pem(), 0600);
  std::remove(next_path().c_str());
  current_ = Credential{key, certificate, *std::move(fields)};
}

}  // namespace skerry::agent
