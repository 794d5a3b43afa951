// Everything an enrolment needs, on a store in memory, with a clock to turn: registry, authority,
// signer, tokens and the endpoint table over them.
#pragma once

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "auth/est.hpp"
#include "auth_fixture.hpp"
#include "crypto/encoding.hpp"
#include "crypto/hash.hpp"
#include "crypto/pkcs7.hpp"
#include "crypto/request.hpp"

namespace skerry::test {

/// Runs a coroutine to its end on a loop of its own and gives its value.
template <typename T>
T run(boost::asio::awaitable<T> work) {
  // Static: another thread may still be on its way out of post() when the handler has run.
  static boost::asio::io_context io;
  io.restart();
  std::optional<T> value;
  boost::asio::co_spawn(
      io, [&value, &work]() -> boost::asio::awaitable<void> { value = co_await std::move(work); },
      boost::asio::detached);
  io.run();
  return *std::move(value);
}

struct Enrolment {
  TemporaryDirectory directory;
  RegistryFixture fixture;
  std::unique_ptr<auth::CertificateAuthority> authority = auth::CertificateAuthority::open(
      {.data_dir = directory.path, .server_names = {"localhost"}}, start_of_test);
  auth::EnrolmentTokens tokens{*fixture.audit};
  Now now{SteadyTime{std::chrono::hours{1}}, start_of_test};
  double burst = 1000;
  auth::EnrolmentMode mode = auth::EnrolmentMode::strict;
  auth::RenewalRules renewal;
  auth::AttemptLimits attempts{.per_address_burst = 1000, .total_burst = 1000};
  std::chrono::seconds key_overlap = std::chrono::hours{24};
  std::string log;
  std::function<void()> on_refusal = [] {};
  storage::ReaderPool signer{1, 64};

  std::shared_ptr<auth::CertificateIssuer> issuer() {
    auth::IssuerOptions options{*authority, *fixture.registry, signer};
    options.clock = [this] { return now; };
    options.key_overlap = key_overlap;
    options.signatures_per_second = 1;
    options.signatures_burst = burst;
    return std::make_shared<auth::CertificateIssuer>(std::move(options));
  }

  http::EndpointTable table() {
    auth::EstOptions options{*authority, *fixture.registry, tokens, *fixture.audit, issuer()};
    options.mode = mode;
    options.renewal = renewal;
    options.attempts = attempts;
    options.clock = [this] { return now; };
    options.log = [this](std::string_view line) {
      log += line;
      on_refusal();
    };
    return auth::est_endpoints(std::move(options));
  }

  static const http::Endpoint& find(const http::EndpointTable& table, std::string_view name) {
    for (const http::Endpoint& endpoint : table) {
      if (endpoint.route == "/.well-known/est/" + std::string{name}) {
        return endpoint;
      }
    }
    FAIL("no such endpoint");
    return table.front();
  }

  /// Sends all requests at once to one endpoint and waits for the answers.
  static std::vector<http::Response> ask(const http::Endpoint& endpoint,
                                         const std::vector<http::Request>& requests) {
    static boost::asio::io_context io;
    io.restart();
    std::vector<http::Response> responses(requests.size());
    for (std::size_t index = 0; index < requests.size(); ++index) {
      boost::asio::co_spawn(
          io,
          [&, index]() -> boost::asio::awaitable<void> {
            responses[index] = co_await endpoint.handler(requests[index]);
          },
          boost::asio::detached);
    }
    io.run();
    return responses;
  }

  http::Response ask(std::string_view name, const http::Request& request) {
    const http::EndpointTable endpoints = table();
    return ask(find(endpoints, name), {request}).front();
  }

  http::Response enroll(const std::string& body, const std::string& client_certificate = {}) {
    http::Request request;
    request.body = body;
    request.client_certificate = client_certificate;
    return ask("simpleenroll", request);
  }
  http::Response enroll_der(const std::string& der, const std::string& client_certificate = {}) {
    return enroll(crypto::base64_encode(der, 64), client_certificate);
  }
  /// With HTTP Basic.
  http::Response enroll_by_token(const std::string& der, const std::string& user,
                                 const std::string& secret) {
    return ask("simpleenroll", token_request(der, user, secret));
  }
  static http::Request token_request(const std::string& der, const std::string& user,
                                     const std::string& secret) {
    http::Request request;
    request.body = crypto::base64_encode(der, 64);
    request.headers["authorization"] = "Basic " + crypto::base64_encode(user + ":" + secret);
    return request;
  }
  http::Response reenroll(const std::string& der, const std::string& client_certificate) {
    http::Request request;
    request.body = crypto::base64_encode(der, 64);
    request.client_certificate = client_certificate;
    return ask("simplereenroll", request);
  }

  void register_key(const std::string& id, const std::string& spki_der) {
    REQUIRE(fixture.create(id, {crypto::sha256_hex(spki_der)}).has_value());
  }

  void pass(std::chrono::seconds time) {
    now.steady += time;
    now.wall += time;
  }
};

inline std::string self_signed(const crypto::PrivateKey& key) {
  crypto::CertificateProfile profile;
  profile.common_name = "whatever";
  profile.spki_der = key.spki_der();
  profile.not_before = start_of_test - std::chrono::hours{1};
  profile.not_after = start_of_test + std::chrono::hours{1};
  return crypto::issue_certificate(profile, {}, key)->der();
}

inline crypto::Certificate certificate_in(const http::Response& response) {
  REQUIRE(response.status == 200);
  const auto der = crypto::base64_decode(response.body, 1'000'000);
  REQUIRE(der);
  const auto certificates = crypto::certificates_of_pkcs7(*der);
  REQUIRE(certificates.has_value());
  REQUIRE(certificates->size() == 1);
  return certificates->front();
}

/// "403 not_in_registry"
inline std::string problem_of(const http::Response& response) {
  CHECK(response.content_type == "application/problem+json");
  const auto body = boost::json::parse(response.body);
  return std::to_string(response.status) + " " + body.at("code").as_string().c_str();
}

}  // namespace skerry::test
