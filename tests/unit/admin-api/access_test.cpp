// /api/v1/audit, /policies, /services/{name}/password and /system:reload.
#include <doctest/doctest.h>

#include <algorithm>
#include <future>

#include "http/scope.hpp"
#include "unit/admin-api/admin_fixture.hpp"

using namespace skerry;
using namespace skerry::test;

namespace {

int lines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

void record(AdminFixture& admin, int count) {
  for (int index = 0; index < count; ++index) {
    std::promise<void> done;
    admin.chain.submit({},
                       {"user:ci", "device.suspend", "device:" + std::to_string(index), "ok",
                        "a \"quoted\", detail", "192.0.2.1"},
                       [&](const storage::Status&) { done.set_value(); });
    done.get_future().get();
  }
}

auth::PolicySource lab_policy() {
  auth::PolicyRule rule;
  rule.name = "own-site";
  rule.actions = {plugin::Action::publish};
  rule.topics = {"site/{attributes.site}/+"};
  rule.when.tags = {"lab"};
  rule.line = 12;
  auth::PolicySource policy;
  policy.name = "lab";
  policy.rules = {rule};
  policy.file = "lab.yaml";
  policy.line = 2;
  return policy;
}

AdminFixture::Call explain(const std::string& body) {
  return {"POST", "/api/v1/policies:explain", body};
}

}  // namespace

TEST_CASE("the audit is paged newest first, filtered, and streamed as NDJSON and CSV") {
  AdminFixture admin;
  record(admin, 5);
  const auto first = admin.json({"GET", "/api/v1/audit?limit=2"});
  REQUIRE(first.at("items").as_array().size() == 2);
  CHECK(first.at("items").at(0).at("object").as_string() == "device:4");
  const std::string next{first.at("next").as_string()};
  const auto second = admin.json({"GET", "/api/v1/audit?limit=100&cursor=" + next});
  CHECK(second.at("items").as_array().size() == 4);  // three and the account's creation
  CHECK(second.at("next").is_null());
  CHECK(admin.json({"GET", "/api/v1/audit?actor=user:ci&object=device:3"})
            .at("items")
            .as_array()
            .size() == 1);
  CHECK(admin.json({"GET", "/api/v1/audit?action=device.*"}).at("items").as_array().size() == 5);
  CHECK(
      admin.json({"GET", "/api/v1/audit?to=2027-01-15T08:00:00Z"}).at("items").as_array().empty());
  const std::string ndjson = admin.call({"GET", "/api/v1/audit?format=ndjson&order=asc"}).body;
  CHECK(lines(ndjson) == 6);
  CHECK(boost::json::parse(ndjson.substr(0, ndjson.find('\n'))).at("sequence").as_int64() == 1);
  const std::string csv = admin.call({"GET", "/api/v1/audit?format=csv&actor=user:ci"}).body;
  CHECK(lines(csv) == 6);
  CHECK(csv.starts_with("sequence,time,actor,"));
  CHECK(csv.find("\"a \"\"quoted\"\", detail\"") != std::string::npos);
  for (const char* bad :
       {"order=up", "format=xml", "from=yesterday", "who=me", "cursor=x", "format=csv&limit=3"}) {
    CHECK_MESSAGE(admin.call({"GET", std::string{"/api/v1/audit?"} + bad}).status == 400, bad);
  }
}

TEST_CASE("verification says where the chain ends, and where it breaks") {
  AdminFixture admin;
  record(admin, 5);
  auto body = admin.json({"GET", "/api/v1/audit:verify"});
  CHECK(body.at("ok").as_bool());
  CHECK(body.at("checked").as_int64() == 6);
  CHECK(body.at("head").at("sequence").as_int64() == 6);
  CHECK(body.at("head").at("hash").as_string().size() == 64);
  storage::Batch batch;
  batch.put(storage::Family::admin, auth::audit_key(3), "rubbish");
  CHECK(admin.store->write(batch, true).ok());
  body = admin.json({"GET", "/api/v1/audit:verify"});
  CHECK_FALSE(body.at("ok").as_bool());
  CHECK(body.at("broken").at("sequence").as_int64() == 3);
}

TEST_CASE("policies are shown with the place they come from") {
  AdminFixture admin;
  admin.policies.replace({lab_policy()});
  const auto list = admin.json({"GET", "/api/v1/policies"});
  REQUIRE(list.at("items").as_array().size() == 1);
  const auto policy = admin.json({"GET", "/api/v1/policies/lab"});
  CHECK(policy.at("file").as_string() == "lab.yaml");
  CHECK(policy.at("rules").at(0).at("line").as_int64() == 12);
  CHECK(policy.at("rules").at(0).at("when").at("tags").at(0).as_string() == "lab");
  CHECK(code_of(admin.call({"GET", "/api/v1/policies/none"})) == "policy_not_found");
}

TEST_CASE("explain gives decision, rule, place and expansion") {
  AdminFixture admin;
  admin.policies.replace({lab_policy()});
  auth::DevicePatch details;
  details.tags = {{"lab"}};
  details.attributes = {{"site", std::optional<std::string>{"north"}}};
  REQUIRE(admin.create("pump-7", details).has_value());
  auto body = admin.json(
      explain(R"({"device":"pump-7","listener":"lab","action":"publish","topic":"site/north/x"})"));
  CHECK(body.at("decision").as_string() == "allow");
  CHECK(body.at("file").as_string() == "lab.yaml");
  CHECK(body.at("line").as_int64() == 12);
  CHECK(body.at("rules").at(0).at("expansion").as_string() == "site/north/+");
  body = admin.json(
      explain(R"({"device":"pump-7","policy":"lab","action":"publish","topic":"site/south/x"})"));
  CHECK(body.at("decision").as_string() == "deny");
  CHECK(body.at("rules").at(0).at("outcome").as_string() == "its topics do not match");
  // Without a listener: the first one, which has the built-in policy.
  body = admin.json(
      explain(R"({"device":"pump-7","action":"publish","topic":"devices/pump-7/telemetry"})"));
  CHECK(body.at("policy").as_string() == "device");
  CHECK(body.at("rule").as_string() == "telemetry");
  admin.service_rights["historian"] = {"service-read", admin.wall};
  body = admin.json(explain(R"({"service":"historian","action":"subscribe","topic":"devices/#"})"));
  CHECK(body.at("coversFilter").as_bool());
}

TEST_CASE("explain refuses questions that make no sense") {
  AdminFixture admin;
  REQUIRE(admin.create("pump-7", auth::DevicePatch{}).has_value());
  const std::pair<const char*, int> questions[] = {
      {R"({})", 422},
      {R"({"action":"publish","topic":"a"})", 422},
      {R"({"device":"pump-7","service":"x","action":"publish","topic":"a"})", 422},
      {R"({"device":"pump-7","action":"fly","topic":"a"})", 422},
      {R"({"device":"pump-7","action":"publish","topic":"a/#"})", 422},
      {R"({"device":"pump-7","action":"subscribe","topic":"a/#/b"})", 422},
      {R"({"device":"pump-7","action":"publish","topic":"a","who":1})", 422},
      {R"({"device":"pump-7","action":"publish","topic":7})", 422},
      {R"({"device":"pump-8","action":"publish","topic":"a"})", 404},
      {R"({"service":"none","action":"publish","topic":"a"})", 404},
      {R"({"device":"pump-7","policy":"none","action":"publish","topic":"a"})", 404},
      {R"({"device":"pump-7","listener":"none","action":"publish","topic":"a"})", 404},
      {R"([])", 400}};
  for (const auto& [body, status] : questions) {
    CHECK_MESSAGE(admin.call(explain(body)).status == status, body);
  }
}

TEST_CASE("a service is given a password, which is shown once and stored as a hash") {
  AdminFixture admin;
  const std::string target = "/api/v1/services/historian/password";
  CHECK(code_of(admin.call({"PUT", target, "{}"})) == "service_not_found");
  admin.service_rights["historian"] = {"service-read", admin.wall};
  CHECK(code_of(admin.call({"GET", target})) == "password_not_found");
  const auto made = admin.json({"PUT", target, R"({"expiresIn":3600})"});
  const std::string password{made.at("password").as_string()};
  CHECK(password.size() == 43);
  CHECK(made.at("expiresAt").as_string() == "2027-01-15T09:00:00.000Z");
  const auto shown = admin.call({"GET", target});
  CHECK(shown.status == 200);
  CHECK(shown.body.find(password) == std::string::npos);
  // One's own is taken and not repeated.
  const auto own = admin.call({"PUT", target, R"({"password":"correct horse battery"})"});
  CHECK(own.status == 200);
  CHECK(own.body.find("correct horse") == std::string::npos);
  for (const char* bad :
       {R"({"password":"short"})", R"({"password":7})", R"({"expiresIn":1})", R"({"user":"x"})"}) {
    CHECK_MESSAGE(admin.call({"PUT", target, bad}).status == 422, bad);
  }
  CHECK(admin.call({"DELETE", target}).status == 204);
  CHECK(code_of(admin.call({"DELETE", target})) == "password_not_found");
  CHECK(
      admin.json({"GET", "/api/v1/audit?object=service:historian"}).at("items").as_array().size() ==
      3);
}

TEST_CASE("reloading says what is wrong, and who asked") {
  AdminFixture admin;
  CHECK(admin.call({"POST", "/api/v1/system:reload"}).status == 204);
  CHECK(admin.reloaded_by == std::vector<std::string>{"user:admin"});
  admin.reload_failure = "skerry.yaml:7: unknown key";
  const auto response = admin.call({"POST", "/api/v1/system:reload"});
  CHECK(response.status == 422);
  CHECK(code_of(response) == "configuration_invalid");
  CHECK(response.body.find("skerry.yaml:7") != std::string::npos);
}

TEST_CASE("each endpoint asks for the scope of its resource") {
  AdminFixture admin;
  for (const http::Endpoint& endpoint : admin.table) {
    if (endpoint.guard == http::Guard::none) {
      continue;
    }
    const std::string scope = endpoint.scope.empty()
                                  ? http::default_scope(endpoint.method, endpoint.route)
                                  : endpoint.scope;
    CHECK_MESSAGE(http::is_valid_scope(scope), (endpoint.method + " " + endpoint.route));
    CHECK(scope != "*");
  }
}
