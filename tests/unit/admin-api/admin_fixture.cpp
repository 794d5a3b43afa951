// The admin API over a store in memory and a view of cores that only takes notes.
#include "unit/admin-api/admin_fixture.hpp"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>

namespace skerry::test {

void NotingView::disconnect_owner(std::string owner, mqtt::Reason reason,
                                  std::function<void(std::uint64_t)> done) {
  CHECK(reason == mqtt::Reason::administrative_action);
  disconnected.push_back(std::move(owner));
  done(1);
}

void NotingView::reevaluate(std::string owner, std::function<void(std::uint64_t)> done) {
  const std::lock_guard lock{mutex};
  judged.push_back(std::move(owner));
  done(2);
}

void NotingView::disconnect_client(std::string owner, std::string client_id,
                                   std::function<void(ClientOutcome)> done) {
  for (plugin::ClientInfo& client : clients) {
    if (client.owner == owner && client.client_id == client_id) {
      disconnected.push_back(owner + " " + client_id);
      return done(std::exchange(client.connected, false) ? ClientOutcome::done
                                                         : ClientOutcome::not_connected);
    }
  }
  done(ClientOutcome::not_found);
}

void NotingView::remove_session(std::string owner, std::string client_id,
                                std::function<void(ClientOutcome)> done) {
  const auto gone = std::erase_if(clients, [&](const plugin::ClientInfo& client) {
    return client.owner == owner && client.client_id == client_id;
  });
  done(gone > 0 ? ClientOutcome::done : ClientOutcome::not_found);
}

void NotingView::list_clients(ClientQuery query,
                              std::function<void(std::vector<plugin::ClientInfo>)> done) {
  std::vector<plugin::ClientInfo> found;
  for (const plugin::ClientInfo& client : clients) {
    const bool behind = std::pair{client.owner, client.client_id} >
                        std::pair{query.after_owner, query.after_client_id};
    if (behind && (query.owner.empty() || query.owner == client.owner) &&
        found.size() < query.limit) {
      found.push_back(client);
    }
  }
  done(std::move(found));
}

AdminFixture::AdminFixture(admin_api::AttemptLimits limits)
    : chain(*committer, *store,
            [this] {
              return Now{steady, wall};
            }),
      credentials(chain),
      accounts(chain),
      tokens(chain, [this] { return wall; }),
      certificates(*audit) {
  REQUIRE(chain.load().status.ok());
  const auto opened = accounts.open(*store);
  REQUIRE(opened.status.ok());
  REQUIRE(opened.new_password.has_value());
  password = *opened.new_password;
  admin_api::AdminServices services{*registry, index, view, accounts, tokens, readers};
  registry->on_change([this](const auth::Device& device, auth::DeviceRegistry::Change) {
    index.changed(device.id);
  });
  services.clock = [this] { return Now{steady, wall}; };
  services.version = "1.2.3";
  services.attempt_limits = limits;
  auth::CrlOptions listing{*certificates.authority, *committer, certificates.signer,
                           [](WallTime) { return std::vector<crypto::RevokedCertificate>{}; }};
  certificates.crl = std::make_shared<auth::CrlPublisher>(certificates.io, std::move(listing));
  services.certificates.emplace(admin_api::CertificateServices{
      *certificates.authority, *certificates.crl, certificates.tokens, certificates.services,
      certificates.signer});
  services.audit = &chain;
  table = admin_api::admin_endpoints(std::move(services));
  for (http::Endpoint& endpoint : access_table()) {
    table.push_back(std::move(endpoint));
  }
}

AdminFixture::~AdminFixture() {
  committer.reset();  // it reports to the chain, which goes before the base
}

http::EndpointTable AdminFixture::access_table() {
  admin_api::AccessServices access{chain,     *store,      readers, policies,
                                   *registry, credentials, readers};
  access.clock = [this] { return Now{steady, wall}; };
  access.listeners = {{"devices", "device"}, {"lab", "lab"}};
  access.service_rights = [this](std::string_view name) -> std::optional<auth::ServiceRights> {
    const auto found = service_rights.find(name);
    return found == service_rights.end() ? std::nullopt : std::optional{found->second};
  };
  access.reload = [this](const auth::Actor& actor) {
    reloaded_by.push_back(actor.name);
    return reload_failure;
  };
  return admin_api::access_endpoints(std::move(access));
}

namespace {

/// A body in pieces of any size, and an answer that is kept.
struct TextReader final : http::BodyReader {
  std::string_view rest;
  std::size_t piece = 1000;
  boost::asio::awaitable<std::optional<std::string>> read() override {
    if (rest.empty()) {
      co_return std::nullopt;
    }
    std::string part{rest.substr(0, piece)};
    rest.remove_prefix(part.size());
    co_return part;
  }
};

struct TextWriter final : http::BodyWriter {
  std::string text;
  boost::asio::awaitable<bool> write(std::string_view chunk) override {
    text += chunk;
    co_return true;
  }
};

boost::asio::awaitable<http::Response> run_to_end(const http::Endpoint& endpoint,
                                                  const http::Request& request) {
  http::Response response = co_await endpoint.handler(request);
  if (response.stream) {
    TextWriter writer;
    co_await response.stream(writer);
    response.body = std::move(writer.text);
  }
  co_return response;
}

}  // namespace

http::Response AdminFixture::call(const Call& call) {
  return call_together({call}).front();
}

std::vector<http::Response> AdminFixture::call_together(const std::vector<Call>& calls) {
  const http::Router router{table};
  // Static: another thread may still be on its way out of post() when the handler has run.
  static boost::asio::io_context io;
  io.restart();
  const auto work = boost::asio::make_work_guard(io);
  std::vector<TextReader> readers_of_bodies(calls.size());
  std::vector<http::Request> requests(calls.size());
  std::vector<std::optional<http::Response>> answers(calls.size());
  std::size_t missing = calls.size();
  for (std::size_t number = 0; number < calls.size(); ++number) {
    const Call& call = calls[number];
    const auto target = http::parse_target(call.target);
    REQUIRE(target.has_value());
    const auto match = router.match(call.method, *target);
    REQUIRE(match.endpoint != nullptr);
    http::Request& request = requests[number];
    request.method = call.method;
    request.path = target->path;
    request.query = target->query;
    request.parameters = match.parameters;
    request.headers = call.headers;
    if (match.endpoint->streams_body) {
      readers_of_bodies[number].rest = call.body;
      readers_of_bodies[number].piece = call.piece_bytes;
      request.body_stream = &readers_of_bodies[number];
    } else {
      request.body = call.body;
    }
    request.peer_address = call.peer_address;
    request.principal = call.principal;
    request.scopes = call.scopes;
    request.token_id = call.token_id;
    boost::asio::co_spawn(io, run_to_end(*match.endpoint, request),
                          [&, number](const std::exception_ptr& thrown, http::Response response) {
                            CHECK_FALSE(thrown);
                            answers[number] = std::move(response);
                            --missing;
                          });
  }
  while (missing > 0) {
    io.run_one();
  }
  std::vector<http::Response> responses;
  for (auto& answer : answers) {
    responses.push_back(*std::move(answer));
  }
  return responses;
}

boost::json::value AdminFixture::json(const Call& asked) {
  return boost::json::parse(call(asked).body);
}

std::string AdminFixture::add_device(const std::string& id, unsigned key) {
  const auto response =
      call({"POST", "/api/v1/devices",
            R"({"id":")" + id + R"(","keys":[{"fingerprint":")" + fingerprint(key) + R"("}]})"});
  REQUIRE(response.status == 201);
  return header_of(response, "ETag");
}

std::string code_of(const http::Response& response) {
  CHECK(response.content_type == "application/problem+json");
  return std::string{boost::json::parse(response.body).at("code").as_string()};
}

std::string pointer_of(const http::Response& response) {
  const boost::json::value body = boost::json::parse(response.body);
  const boost::json::value* errors = body.as_object().if_contains("errors");
  return errors == nullptr ? std::string{} : std::string{errors->at(0).at("pointer").as_string()};
}

std::string header_of(const http::Response& response, std::string_view name) {
  for (const auto& [found, value] : response.headers) {
    if (found == name) {
      return value;
    }
  }
  return {};
}

}  // namespace skerry::test
