// The admin API over a store in memory and a view of cores that only takes notes.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "admin-api/access.hpp"
#include "admin-api/endpoints.hpp"
#include "http/route.hpp"
#include "unit/auth/auth_fixture.hpp"

namespace skerry::test {

/// Answers at once and remembers what it was asked.
struct NotingView : plugin::AdminView {
  std::vector<const Counters*> counters() const override { return {}; }
  void disconnect_owner(std::string owner, mqtt::Reason reason,
                        std::function<void(std::uint64_t)> done) override;
  void publish(plugin::BrokerMessage, std::function<void(storage::Status)> done) override {
    done({});
  }
  void reevaluate(std::string owner, std::function<void(std::uint64_t)> done) override;
  void disconnect_certificate(std::string, mqtt::Reason,
                              std::function<void(std::uint64_t)> done) override {
    done(0);
  }
  void disconnect_key(std::string, mqtt::Reason, std::function<void(std::uint64_t)> done) override {
    done(0);
  }
  void list_clients(ClientQuery query,
                    std::function<void(std::vector<plugin::ClientInfo>)> done) override;
  void disconnect_client(std::string owner, std::string client_id,
                         std::function<void(ClientOutcome)> done) override;
  void remove_session(std::string owner, std::string client_id,
                      std::function<void(ClientOutcome)> done) override;
  std::optional<plugin::Presence> presence_of(std::string_view device) const override {
    const auto found = presence.find(device);
    return found == presence.end() ? std::nullopt : std::optional(found->second);
  }
  bool loops_alive(std::uint32_t) const override { return alive; }

  std::map<std::string, plugin::Presence, std::less<>> presence;  ///< by device
  std::vector<std::string> disconnected;                          ///< owners, and "owner client id"
  std::vector<std::string> judged;                                ///< owners, by reevaluate()
  std::vector<plugin::ClientInfo> clients;                        ///< sorted by owner and client id
  bool alive = true;
  std::mutex mutex;  ///< guards `judged`: the committer's thread asks
};

/// What the endpoints of certificates work on; the revocation list is never signed here.
struct CertificateParts {
  explicit CertificateParts(plugin::AuditLog& audit) : tokens(audit), services(audit) {}

  TemporaryDirectory directory;
  std::unique_ptr<auth::CertificateAuthority> authority = auth::CertificateAuthority::open(
      {.data_dir = directory.path, .server_names = {"localhost"}}, start_of_test);
  boost::asio::io_context io;
  storage::ReaderPool signer{1};
  auth::EnrolmentTokens tokens;
  auth::ServiceRegistry services;
  std::shared_ptr<auth::CrlPublisher> crl;
};

struct AdminFixture : RegistryFixture {
  explicit AdminFixture(admin_api::AttemptLimits limits = {});
  ~AdminFixture();

  struct Call {
    std::string method = "GET";
    std::string target;
    std::string body;
    std::map<std::string, std::string, std::less<>> headers = {};
    std::string peer_address = "192.0.2.7";
    std::size_t piece_bytes = 1000;  ///< of a body that is streamed
    std::string principal = "user:admin";
    std::vector<std::string> scopes = {"*"};
    std::string token_id = {};
  };
  /// Runs the handler of the route to its end, with a streamed answer as its body; the guard is the
  /// server's business.
  http::Response call(const Call& call);
  /// Several at once: all handlers have begun before one of them waits.
  std::vector<http::Response> call_together(const std::vector<Call>& calls);
  /// The same with a body that is JSON.
  boost::json::value json(const Call& call);
  http::EndpointTable access_table();
  /// Registers by the API; the device's ETag.
  std::string add_device(const std::string& id, unsigned key);

  WallTime wall = start_of_test;
  SteadyTime steady{};
  auth::DeviceIndex index{[this](std::string_view id) { return registry->find(id); }};
  NotingView view;
  auth::Audit chain;  ///< what tokens, accounts and services are recorded in
  auth::NamedPolicies policies{[this](std::string_view id) { return registry->find(id); }};
  auth::ServiceCredentials credentials;
  std::map<std::string, auth::ServiceRights, std::less<>> service_rights;
  std::vector<std::string> reloaded_by;
  std::optional<std::string> reload_failure;
  storage::ReaderPool readers{1};
  admin_api::AdminAccounts accounts;
  admin_api::TokenStore tokens;
  CertificateParts certificates;
  std::string password;
  http::EndpointTable table;
};

/// The problem's stable code.
std::string code_of(const http::Response& response);
/// The pointer of the problem's first error; empty without one.
std::string pointer_of(const http::Response& response);
/// The first header of this name; empty without one.
std::string header_of(const http::Response& response, std::string_view name);

}  // namespace skerry::test
