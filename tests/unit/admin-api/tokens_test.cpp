// /api/v1/tokens, accounts and the limits on guessing.
#include <doctest/doctest.h>

#include "unit/admin-api/admin_fixture.hpp"

using namespace skerry;
using namespace skerry::test;

namespace {

AdminFixture::Call wish(const std::string& password, const std::string& more = {},
                        const std::string& address = "192.0.2.7") {
  return {"POST",
          "/api/v1/tokens",
          R"({"user":"admin","password":")" + password + "\"" + more + "}",
          {},
          address};
}

}  // namespace

TEST_CASE("the right password gives a token that the guard knows until it expires") {
  AdminFixture admin;
  const auto response = admin.call(wish(admin.password, R"(,"name":"ci","expiresIn":3600)"));
  CHECK(response.status == 201);
  const auto body = boost::json::parse(response.body);
  const std::string token{body.at("token").as_string()};
  CHECK(token.starts_with("skt_"));
  CHECK(body.at("expiresAt").as_string() == "2027-01-15T09:00:00.000Z");
  CHECK(header_of(response, "Location") ==
        "/api/v1/tokens/" + std::string{body.at("id").as_string()});
  CHECK(admin.tokens.principal_of(token).name == "user:admin");
  CHECK(admin.tokens.principal_of(token + "x").name.empty());
  CHECK(admin.tokens.principal_of("").name.empty());
  CHECK(admin.tokens.principal_of(std::string(100'000, 'a')).name.empty());
  admin.wall += std::chrono::hours{1};
  CHECK(admin.tokens.principal_of(token).name.empty());
}

TEST_CASE("tokens are listed without their text and revoked at once") {
  AdminFixture admin;
  const auto body = admin.json(wish(admin.password));
  const std::string token{body.at("token").as_string()};
  const std::string id{body.at("id").as_string()};
  const auto list = admin.call({"GET", "/api/v1/tokens"});
  CHECK(list.body.find(id) != std::string::npos);
  CHECK(list.body.find(token) == std::string::npos);
  CHECK(admin.call({"DELETE", "/api/v1/tokens/" + id}).status == 204);
  CHECK(admin.tokens.principal_of(token).name.empty());
  const auto again = admin.call({"DELETE", "/api/v1/tokens/" + id});
  CHECK(again.status == 404);
  CHECK(code_of(again) == "token_not_found");
}

TEST_CASE("a token whose removal was not stored is refused, and may be removed again") {
  AdminFixture admin;
  const auto body = admin.json(wish(admin.password));
  const std::string token{body.at("token").as_string()};
  const std::string id{body.at("id").as_string()};
  const auto principal = admin.tokens.principal_of(token);
  admin.store->fail_write(1, storage::StatusCode::full);
  const auto refused = [&] {
    return admin.tokens.principal_of(token).name.empty() && !principal.is_live() &&
           admin.tokens.list({}, 10).empty();
  };
  for (int attempt = 0; attempt < 2; ++attempt) {
    const int status = admin.call({"DELETE", "/api/v1/tokens/" + id}).status;
    CHECK_MESSAGE((status == 507 || status == 503), status);
    CHECK(refused());
  }
  admin.store->heal();
  int status = 0;
  do {
    status = admin.call({"DELETE", "/api/v1/tokens/" + id}).status;
    CHECK(refused());
  } while (status == 507 || status == 503);
  CHECK(status == 204);
  CHECK(admin.call({"DELETE", "/api/v1/tokens/" + id}).status == 404);
  admin_api::TokenStore again{admin.chain, [&] { return admin.wall; }};
  REQUIRE(again.load(*admin.store).ok());
  CHECK(again.principal_of(token).name.empty());
  CHECK_FALSE(again.is_live(id));
}

TEST_CASE("tokens and passwords survive a restart, and neither is stored in plain text") {
  AdminFixture admin;
  const std::string token{admin.json(wish(admin.password)).at("token").as_string()};
  admin_api::TokenStore tokens{admin.chain, [&] { return admin.wall; }};
  CHECK(tokens.load(*admin.store).ok());
  CHECK(tokens.principal_of(token).name == "user:admin");
  admin_api::AdminAccounts accounts{admin.chain};
  const auto opened = accounts.open(*admin.store);
  CHECK(opened.status.ok());
  CHECK_FALSE(opened.new_password);
  CHECK(accounts.verify("admin", admin.password));
  CHECK_FALSE(accounts.verify("admin", admin.password + "x"));
  CHECK_FALSE(accounts.verify("root", admin.password));
  const auto everything = admin.store->scan(storage::Family::admin, {});
  for (everything->seek_first(); everything->valid(); everything->next()) {
    CHECK(everything->value().find(token) == std::string_view::npos);
    CHECK(everything->value().find(admin.password) == std::string_view::npos);
  }
}

TEST_CASE("a reset gives a new password and ends the old one") {
  AdminFixture admin;
  admin_api::AdminAccounts accounts{admin.chain};
  const auto opened = accounts.open(*admin.store, true);
  REQUIRE(opened.new_password.has_value());
  CHECK(*opened.new_password != admin.password);
  CHECK(accounts.verify("admin", *opened.new_password));
  CHECK_FALSE(accounts.verify("admin", admin.password));
}

TEST_CASE("expired tokens leave memory and store when the next one is made") {
  AdminFixture admin;
  const std::string id{admin.json(wish(admin.password, R"(,"expiresIn":60)")).at("id").as_string()};
  admin.wall += std::chrono::hours{1};
  CHECK(admin.call(wish(admin.password)).status == 201);
  std::string value;
  CHECK(admin.store->get(storage::Family::admin, "token/" + id, value).code ==
        storage::StatusCode::not_found);
}

TEST_CASE("a wrong password and an unknown user get the same 401") {
  AdminFixture admin;
  const auto wrong = admin.call(wish("nonsense"));
  CHECK(wrong.status == 401);
  CHECK(code_of(wrong) == "wrong_credentials");
  const auto unknown =
      admin.call({"POST", "/api/v1/tokens", R"({"user":"root","password":"nonsense"})"});
  CHECK(unknown.body == wrong.body);
}

TEST_CASE("guessing is slowed down per address, with Retry-After, and a right password is free") {
  admin_api::AttemptLimits limits;
  limits.per_address_burst = 3;
  AdminFixture admin{limits};
  for (int attempt = 0; attempt < 10; ++attempt) {
    CHECK(admin.call(wish(admin.password)).status == 201);
  }
  for (int attempt = 0; attempt < 3; ++attempt) {
    CHECK(admin.call(wish("nonsense")).status == 401);
  }
  const auto refused = admin.call(wish(admin.password));
  CHECK(refused.status == 429);
  CHECK(code_of(refused) == "too_many_attempts");
  CHECK(header_of(refused, "Retry-After") == "12");
  CHECK(admin.call(wish(admin.password, {}, "192.0.2.8")).status == 201);
  admin.steady += std::chrono::seconds{12};
  CHECK(admin.call(wish(admin.password)).status == 201);
}

TEST_CASE("guessing from many addresses is slowed down in total") {
  admin_api::AttemptLimits limits;
  limits.total_burst = 4;
  limits.addresses_max = 3;
  admin_api::AttemptLimiter limiter{limits};
  const SteadyTime now{};
  CHECK_FALSE(limiter.begin("192.0.2.1", now));
  CHECK_FALSE(limiter.begin("2001:db8::1", now));
  CHECK_FALSE(limiter.begin("2001:db8::2", now));
  CHECK_FALSE(limiter.begin("192.0.2.2", now));
  CHECK(limiter.begin("192.0.2.2", now));
  CHECK(limiter.begin("192.0.2.99", now));
  CHECK_FALSE(limiter.begin("192.0.2.99", now + std::chrono::hours{1}));
  CHECK(admin_api::address_group("2001:db8::1") == admin_api::address_group("2001:db8::2"));
  CHECK(admin_api::address_group("2001:db8::1") != admin_api::address_group("2001:db8:0:1::1"));
  // As a socket for both families names them: one IPv4 peer must not shut out all the others.
  CHECK(admin_api::address_group("::ffff:192.0.2.1") == "192.0.2.1");
  CHECK(admin_api::address_group("::ffff:192.0.2.1") !=
        admin_api::address_group("::ffff:192.0.2.2"));
}

TEST_CASE("bad wishes are refused before the password is looked at") {
  AdminFixture admin;
  for (const std::string body : {R"({})", R"({"user":"admin"})", R"({"user":1,"password":"x"})",
                                 R"({"user":"admin","password":"x","expiresIn":1})",
                                 R"({"user":"admin","password":"x","expiresIn":"1h"})",
                                 R"({"user":"admin","password":"x","expiresIn":99999999999})",
                                 R"({"user":"admin","password":"x","name":""})",
                                 R"({"user":"admin","password":"x","scope":"all"})"}) {
    CAPTURE(body);
    AdminFixture::Call call{"POST", "/api/v1/tokens", body};
    call.principal.clear();
    CHECK(admin.call(call).status == 422);
  }
  CHECK(admin.call(wish(std::string(2000, 'x'))).status == 422);
  CHECK(admin.call({"POST", "/api/v1/tokens", "nonsense"}).status == 400);
}

TEST_CASE("a token that cannot be stored is not given") {
  AdminFixture admin;
  admin.store->fail_write(1, storage::StatusCode::full);
  const auto response = admin.call(wish(admin.password));
  CHECK(response.status == 507);
  CHECK(admin.tokens.list({}, 10).empty());
}

namespace {

/// A token that an administrator has made, and calls by it.
struct Token {
  AdminFixture& admin;
  boost::json::value made;
  http::Principal principal;

  Token(AdminFixture& fixture, const std::string& scopes, const std::string& more = {})
      : Token(fixture, fixture.call(wish(fixture.password, R"(,"scopes":)" + scopes + more))) {}
  Token(AdminFixture& fixture, const http::Response& response)
      : admin(fixture),
        made(boost::json::parse(response.body)),
        principal(fixture.tokens.principal_of(made.at("token").as_string())) {
    REQUIRE(principal.token_id == id());
  }

  std::string id() const { return std::string{made.at("id").as_string()}; }
  AdminFixture::Call by(std::string method, std::string target, std::string body = {}) const {
    AdminFixture::Call call{std::move(method), std::move(target), std::move(body)};
    call.principal = principal.name;
    call.scopes = principal.scopes;
    call.token_id = principal.token_id;
    return call;
  }
  http::Response make(const std::string& body) const {
    return admin.call(by("POST", "/api/v1/tokens", body));
  }
  http::Response erase(const std::string& id) const {
    return admin.call(by("DELETE", "/api/v1/tokens/" + id));
  }
};

}  // namespace

TEST_CASE("a token is good for the scopes that were asked for, also after a restart") {
  AdminFixture admin;
  const auto body = admin.json(wish(admin.password, R"(,"scopes":["devices:read","audit:*"])"));
  CHECK(boost::json::serialize(body.at("scopes")) == R"(["devices:read","audit:*"])");
  const std::string token{body.at("token").as_string()};
  const std::vector<std::string> scopes{"devices:read", "audit:*"};
  CHECK(admin.tokens.principal_of(token).scopes == scopes);
  admin_api::TokenStore again{admin.chain, [&] { return admin.wall; }};
  CHECK(again.load(*admin.store).ok());
  CHECK(again.principal_of(token).scopes == scopes);
  for (const char* bad : {R"(,"scopes":[])", R"(,"scopes":"*")", R"(,"scopes":["devices"])",
                          R"(,"scopes":["*:write"])", R"(,"scopes":[7])"}) {
    CHECK_MESSAGE(admin.call(wish(admin.password, bad)).status == 422, bad);
  }
}

TEST_CASE("a token gives what it has itself and nothing more") {
  AdminFixture admin;
  const Token held{admin, R"(["tokens:write","devices:*"])"};
  const Token made{admin, held.make(R"({"name":"ci","scopes":["devices:read"]})")};
  CHECK(made.made.at("user").as_string() == "admin");
  CHECK(made.made.at("createdByToken").as_string() == held.id());
  CHECK(held.made.at("createdByToken").is_null());
  // Nothing asked for: the same scopes.
  const auto same = boost::json::parse(held.make(R"({"name":"same"})").body);
  CHECK(boost::json::serialize(same.at("scopes")) == R"(["tokens:write","devices:*"])");
  for (const char* scopes : {R"(["*"])", R"(["audit:read"])", R"(["*:read"])", R"(["tokens:*"])",
                             R"(["telemetry:read"])"}) {
    const auto response = held.make(std::string{R"({"scopes":)"} + scopes + "}");
    CHECK_MESSAGE(response.status == 403, scopes);
    CHECK(code_of(response) == "insufficient_scope");
    CHECK(pointer_of(response) == "/scopes/0");
  }
  CHECK(pointer_of(held.make(R"({"scopes":["devices:read","audit:read"]})")) == "/scopes/1");
  const Token without{admin, R"(["devices:*"])"};
  CHECK(code_of(without.make(R"({"name":"x"})")) == "insufficient_scope");
  // With neither token nor password there is something missing.
  AdminFixture::Call nobody{"POST", "/api/v1/tokens", "{}"};
  nobody.principal.clear();
  CHECK(admin.call(nobody).status == 422);
}

TEST_CASE("a token makes none that outlives it") {
  AdminFixture admin;
  const Token held{admin, R"(["tokens:write","devices:read"])", R"(,"expiresIn":3600)"};
  admin.wall += std::chrono::minutes{10};
  const auto refused = held.make(R"({"expiresIn":3001})");
  CHECK(refused.status == 403);
  CHECK(code_of(refused) == "outlives_token");
  CHECK(pointer_of(refused) == "/expiresIn");
  CHECK(held.make(R"({"expiresIn":3000})").status == 201);
  // Nothing asked for: as long as it lives itself, not the 30 days of a user.
  const auto body = boost::json::parse(held.make("{}").body);
  CHECK(body.at("expiresAt") == held.made.at("expiresAt"));
  // Also the next generation, and also after a restart.
  const Token child{admin, held.make("{}")};
  CHECK(code_of(child.make(R"({"expiresIn":3001})")) == "outlives_token");
  admin_api::TokenStore again{admin.chain, [&] { return admin.wall; }};
  CHECK(again.load(*admin.store).ok());
  CHECK(again.maker_of(child.id()) == held.id());
  CHECK(again.maker_of(held.id()) == "");
}

TEST_CASE("a token deletes itself and what it has made; one for everything deletes all") {
  AdminFixture admin;
  const Token held{admin, R"(["tokens:*"])"};
  const Token other{admin, R"(["tokens:*"])"};
  const Token child{admin, held.make("{}")};
  const auto refused = other.erase(child.id());
  CHECK(refused.status == 403);
  CHECK(code_of(refused) == "token_of_another");
  CHECK(child.principal.is_live());
  CHECK(code_of(child.erase(held.id())) == "token_of_another");
  CHECK(other.erase("tok-0000000000000000").status == 404);
  CHECK(held.erase(child.id()).status == 204);
  CHECK_FALSE(child.principal.is_live());
  CHECK(held.erase(child.id()).status == 404);
  CHECK(held.erase(held.id()).status == 204);
  const Token all{admin, R"(["*"])"};
  CHECK(all.erase(other.id()).status == 204);
}

TEST_CASE("of two who delete a secret at once one is told that it is gone") {
  AdminFixture admin;
  const Token token{admin, R"(["devices:read"])"};
  const AdminFixture::Call erase_token{"DELETE", "/api/v1/tokens/" + token.id()};
  const auto made = admin.json({"POST", "/api/v1/enrolment-tokens", R"({"deviceId":"pump-7"})"});
  const AdminFixture::Call erase_enrolment{
      "DELETE", "/api/v1/enrolment-tokens/" + std::string{made.at("id").as_string()}};
  admin.service_rights["historian"];
  REQUIRE(admin.call({"PUT", "/api/v1/services/historian/password", "{}"}).status == 200);
  const AdminFixture::Call erase_password{"DELETE", "/api/v1/services/historian/password"};
  for (const auto& call : {erase_token, erase_enrolment, erase_password}) {
    CAPTURE(call.target);
    const auto answers = admin.call_together({call, call});
    CHECK(answers[0].status == 204);
    CHECK(answers[1].status == 404);
  }
}

TEST_CASE("an expired token leaves memory only when its removal is stored") {
  AdminFixture admin;
  const Token held{admin, R"(["devices:read"])", R"(,"expiresIn":60)"};
  admin.wall += std::chrono::hours{1};
  admin.store->fail_write(1, storage::StatusCode::full);
  CHECK(admin.call(wish(admin.password)).status == 507);
  CHECK(admin.tokens.maker_of(held.id()));  // still to be removed
  CHECK_FALSE(held.principal.is_live());
  admin.store->heal();
  int status = 0;
  do {
    status = admin.call(wish(admin.password)).status;
  } while (status == 507 || status == 503);
  CHECK(status == 201);
  CHECK_FALSE(admin.tokens.maker_of(held.id()));
  std::string value;
  CHECK(admin.store->get(storage::Family::admin, "token/" + held.id(), value).code ==
        storage::StatusCode::not_found);
}

TEST_CASE("making and deleting tokens is recorded, and so are wrong passwords") {
  AdminFixture admin;
  const auto body = admin.json(wish(admin.password));
  const std::string id{body.at("id").as_string()};
  admin.call({"DELETE", "/api/v1/tokens/" + id});
  CHECK(admin.call(wish("wrong")).status == 401);
  CHECK(admin.committer->write_and_wait({}).ok());
  const auto list = admin.json({"GET", "/api/v1/audit?order=asc"});
  std::string actions;
  for (const auto& item : list.at("items").as_array()) {
    actions += std::string{item.at("action").as_string()} + " ";
    CHECK(item.at("detail").as_string().find(std::string{body.at("token").as_string()}) ==
          std::string::npos);
  }
  CHECK(actions == "user.create token.create token.delete login ");
  CHECK(list.at("items").at(2).at("object").as_string() == "token:" + id);
  CHECK(list.at("items").at(3).at("outcome").as_string() == "wrong_credentials");
}

TEST_CASE("a token that was deleted or has expired is not live") {
  AdminFixture admin;
  const auto body = admin.json(wish(admin.password, R"(,"expiresIn":60)"));
  const auto principal = admin.tokens.principal_of(body.at("token").as_string());
  REQUIRE(principal.is_live);
  CHECK(principal.is_live());
  admin.wall += std::chrono::minutes{1};
  CHECK_FALSE(principal.is_live());
}
