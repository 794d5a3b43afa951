// The certificate authority: what it makes on first start, keeps across restarts, and issues.
#include <doctest/doctest.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "auth/secret_file.hpp"
#include "auth_fixture.hpp"
#include "unit/crypto/request_maker.hpp"

using namespace skerry;
using namespace std::chrono_literals;
using auth::CertificateAuthority;
using test::start_of_test;
using test::TemporaryDirectory;

namespace {

std::unique_ptr<CertificateAuthority> open_at(const std::string& path,
                                              WallTime now = start_of_test) {
  return CertificateAuthority::open({.data_dir = path, .server_names = {"gateway.example", "::1"}},
                                    now);
}

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

std::string message_of_open(const std::string& path) {
  try {
    open_at(path);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return {};
}

/// What OpenSSL itself says about leaf → authority → root for a purpose.
bool verifies(const crypto::Certificate& leaf, const crypto::Certificate& authority,
              const crypto::Certificate& root, int purpose) {
  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, root.native());
  STACK_OF(X509)* chain = sk_X509_new_null();
  sk_X509_push(chain, authority.native());
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, leaf.native(), chain);
  X509_STORE_CTX_set_purpose(context, purpose);
  X509_STORE_CTX_set_flags(context, X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context),
                             start_of_test.time_since_epoch().count() / 1000);
  const bool good = X509_verify_cert(context) == 1;
  X509_STORE_CTX_free(context);
  sk_X509_free(chain);
  X509_STORE_free(store);
  return good;
}

}  // namespace

TEST_CASE("first start makes three authorities, each for its own purpose") {
  const TemporaryDirectory directory;
  const auto authority = open_at(directory.path);
  const auto root = *authority->root().fields();
  const auto device_ca = *authority->device_ca().fields();
  const auto server_ca = *authority->server_ca().fields();
  CHECK(root.is_authority);
  CHECK_FALSE(root.path_length);
  CHECK(root.not_after > start_of_test + std::chrono::days{20 * 365});
  CHECK(device_ca.path_length == 0u);
  CHECK(device_ca.client_authentication);
  CHECK_FALSE(device_ca.server_authentication);
  CHECK(server_ca.path_length == 0u);
  CHECK(server_ca.server_authentication);
  CHECK_FALSE(server_ca.client_authentication);
  CHECK(device_ca.not_after > start_of_test + std::chrono::days{5 * 365});
  CHECK(device_ca.not_after < start_of_test + std::chrono::days{5 * 365 + 3});
  CHECK(authority->device_ca().is_signed_by(authority->root()));
  CHECK(authority->server_ca().is_signed_by(authority->root()));
}

TEST_CASE("key files are for the owner alone, and so is their directory") {
  const TemporaryDirectory directory;
  open_at(directory.path);
  CHECK(mode_of(directory.path + "/ca") == 0700);
  for (const char* name : {"root", "device-ca", "server-ca", "server"}) {
    CHECK(mode_of(directory.path + "/ca/" + name + ".key") == 0600);
    CHECK(mode_of(directory.path + "/ca/" + name + ".crt") == 0644);
  }
}

TEST_CASE("a restart finds the same authorities and the same server certificate") {
  const TemporaryDirectory directory;
  const auto first = open_at(directory.path);
  const auto second = open_at(directory.path, start_of_test + 24h);
  CHECK(first->root().der() == second->root().der());
  CHECK(first->device_ca().der() == second->device_ca().der());
  CHECK(first->server_certificate().chain_pem == second->server_certificate().chain_pem);
}

TEST_CASE("a device certificate has exactly the profile") {
  const TemporaryDirectory directory;
  const auto authority = open_at(directory.path);
  const auto key = *crypto::PrivateKey::generate();
  const auto issued = authority->issue_device_certificate("pump-7", key.spki_der(), start_of_test);
  REQUIRE(issued.has_value());
  const auto fields = *issued->fields();
  CHECK(fields.version == 3);
  CHECK(fields.common_name == "pump-7");
  CHECK(fields.organization == "Skerry");
  CHECK(fields.uris == std::vector<std::string>{"urn:skerry:device:pump-7"});
  CHECK(fields.dns_names.empty());
  CHECK(fields.addresses.empty());
  CHECK(fields.client_authentication);
  CHECK_FALSE(fields.server_authentication);
  CHECK_FALSE(fields.other_extended_usage);
  CHECK(fields.digital_signature);
  CHECK_FALSE(fields.certificate_sign);
  CHECK_FALSE(fields.is_authority);
  CHECK(fields.fingerprint == key.fingerprint());
  CHECK(fields.not_before == start_of_test - 5min);
  CHECK(fields.not_after == start_of_test + std::chrono::days{30});
  CHECK(fields.authority_key_id == authority->device_ca().fields()->subject_key_id);
  CHECK(X509_get_ext_count(issued->native()) == 6);
  CHECK(verifies(*issued, authority->device_ca(), authority->root(), X509_PURPOSE_SSL_CLIENT));
  CHECK_FALSE(
      verifies(*issued, authority->device_ca(), authority->root(), X509_PURPOSE_SSL_SERVER));
}

TEST_CASE("a device certificate can be issued over every accepted kind of key") {
  const TemporaryDirectory directory;
  const auto authority = open_at(directory.path);
  for (const test::Key& key : {test::elliptic_key("P-256"), test::elliptic_key("P-384"),
                               test::ed25519_key(), test::rsa_key(2048)}) {
    const auto issued = authority->issue_device_certificate("d", test::spki_of(key), start_of_test);
    REQUIRE(issued.has_value());
    CHECK(verifies(*issued, authority->device_ca(), authority->root(), X509_PURPOSE_SSL_CLIENT));
  }
}

TEST_CASE("many threads may issue at the same time") {
  const TemporaryDirectory directory;
  const auto authority = open_at(directory.path);
  const auto key = *crypto::PrivateKey::generate();
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([&] {
      for (int count = 0; count < 50; ++count) {
        const auto issued = authority->issue_device_certificate("d", key.spki_der(), start_of_test);
        good += issued && issued->is_signed_by(authority->device_ca()) ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(good == 200);
}

TEST_CASE("the server certificate carries the configured names and verifies for servers only") {
  const TemporaryDirectory directory;
  const auto authority = open_at(directory.path);
  const auto leaf = *crypto::Certificate::from_pem(authority->server_certificate().chain_pem);
  const auto fields = *leaf.fields();
  CHECK(fields.dns_names == std::vector<std::string>{"gateway.example"});
  CHECK(fields.addresses == std::vector<std::string>{"::1"});
  CHECK(verifies(leaf, authority->server_ca(), authority->root(), X509_PURPOSE_SSL_SERVER));
  CHECK_FALSE(verifies(leaf, authority->server_ca(), authority->root(), X509_PURPOSE_SSL_CLIENT));
  const auto key = *crypto::PrivateKey::from_pem(authority->server_certificate().private_key_pem);
  CHECK(key.fingerprint() == fields.fingerprint);
}

TEST_CASE("default server names hold localhost in its three forms") {
  const auto names = auth::default_server_names();
  REQUIRE(names.size() >= 3);
  CHECK(names[0] == "localhost");
  CHECK(names[1] == "127.0.0.1");
  CHECK(names[2] == "::1");
}

TEST_CASE("the server certificate is due at two thirds of its life and then replaced") {
  const TemporaryDirectory directory;
  const auto authority = open_at(directory.path);
  const auto before = authority->server_certificate();
  const auto life = before.not_after - before.not_before;
  CHECK_FALSE(authority->reissue_due(before.not_before + life * 2 / 3 - 1s));
  CHECK(authority->reissue_due(before.not_before + life * 2 / 3));
  const WallTime later = start_of_test + std::chrono::days{70};
  const auto after = authority->issue_server_certificate({}, later);
  CHECK(after.chain_pem != before.chain_pem);
  CHECK(after.private_key_pem != before.private_key_pem);
  CHECK_FALSE(authority->reissue_due(later));
  CHECK(open_at(directory.path, later)->server_certificate().chain_pem == after.chain_pem);
  const auto much_later = open_at(directory.path, later + std::chrono::days{70});
  CHECK(much_later->server_certificate().chain_pem != after.chain_pem);
}

TEST_CASE("a name added to the configuration makes a new server certificate") {
  const TemporaryDirectory directory;
  const auto before = open_at(directory.path)->server_certificate();
  const auto authority = CertificateAuthority::open(
      {.data_dir = directory.path, .server_names = {"gateway.example", "192.0.2.1"}},
      start_of_test);
  CHECK(authority->server_certificate().chain_pem != before.chain_pem);
  CHECK_THROWS(authority->issue_server_certificate({"not a name"}, start_of_test));
}

TEST_CASE("the root's key may be away once the authorities are made") {
  const TemporaryDirectory directory;
  open_at(directory.path);
  std::filesystem::remove(directory.path + "/ca/root.key");
  CHECK(message_of_open(directory.path).empty());
  std::filesystem::remove(directory.path + "/ca/device-ca.crt");
  CHECK(message_of_open(directory.path).find("root.key") != std::string::npos);
}

TEST_CASE("damaged, missing and foreign keys end the start with a sentence that names the file") {
  const TemporaryDirectory directory;
  open_at(directory.path);
  const std::string key = directory.path + "/ca/device-ca.key";
  const std::string good = *auth::read_file(key);
  auth::write_file(key, "nonsense", auth::FileMode::secret);
  CHECK(message_of_open(directory.path).find("unreadable key " + key) == 0);
  auth::write_file(key, crypto::PrivateKey::generate()->pem(), auth::FileMode::secret);
  CHECK(message_of_open(directory.path).find("does not belong") != std::string::npos);
  std::filesystem::remove(key);
  CHECK(message_of_open(directory.path).empty());  // away, not lost: see can_sign()
  const std::string server_key = directory.path + "/ca/server-ca.key";
  std::filesystem::rename(server_key, server_key + ".away");
  CHECK(message_of_open(directory.path).find(server_key) != std::string::npos);
  std::filesystem::rename(server_key + ".away", server_key);
  std::filesystem::create_directory(key);
  CHECK(message_of_open(directory.path).find(key) != std::string::npos);
  std::filesystem::remove(key);
  auth::write_file(key, good, auth::FileMode::secret);
  CHECK(message_of_open(directory.path).empty());
  std::filesystem::remove(directory.path + "/ca/root.crt");
  CHECK(message_of_open(directory.path).find("root.crt") != std::string::npos);
}

TEST_CASE("a crash between the two files of a pair is healed at the next start") {
  const TemporaryDirectory directory;
  open_at(directory.path);
  // The new server key is there, the new certificate is not.
  auth::write_file(directory.path + "/ca/server.key", crypto::PrivateKey::generate()->pem(),
                   auth::FileMode::secret);
  const auto authority = open_at(directory.path);
  const auto server = authority->server_certificate();
  CHECK(crypto::Certificate::from_pem(server.chain_pem)->fields()->fingerprint ==
        crypto::PrivateKey::from_pem(server.private_key_pem)->fingerprint());
  // The first start ended after the key of the root.
  const TemporaryDirectory fresh;
  auth::make_private_directory(fresh.path + "/ca");
  auth::write_file(fresh.path + "/ca/root.key", "half", auth::FileMode::secret);
  CHECK(message_of_open(fresh.path).empty());
}
