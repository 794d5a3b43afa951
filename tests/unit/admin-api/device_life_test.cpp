// The life of a device by REST: states, details, keys, certificates, approval.
#include <doctest/doctest.h>

#include "unit/admin-api/admin_fixture.hpp"

using namespace skerry;
using namespace skerry::test;

namespace {

using Headers = std::map<std::string, std::string, std::less<>>;

auth::DevicePointer wait_for_approval(AdminFixture& admin, const std::string& id, unsigned key) {
  auth::ApprovalRequest request{fingerprint(key), id, "CN=" + id, "EC P-256", "192.0.2.9"};
  const auto outcome = RegistryFixture::wait(
      [&](auto done) { admin.registry->request_approval(request, admin.wall, done); });
  REQUIRE(outcome.has_value());
  return *outcome;
}

std::string state_of(AdminFixture& admin, const std::string& id) {
  return std::string{admin.json({"GET", "/api/v1/devices/" + id}).at("state").as_string()};
}

}  // namespace

TEST_CASE("a device is suspended, resumed and retired, and each says how many sessions ended") {
  AdminFixture admin;
  admin.add_device("a", 1);
  REQUIRE(admin.record("a", fingerprint(1), "5e01").has_value());
  const auto suspended = admin.json({"POST", "/api/v1/devices/a:suspend", "{}"});
  CHECK(suspended.at("device").at("state").as_string() == "suspended");
  CHECK(suspended.at("sessionsClosed").to_number<int>() == 2);
  CHECK(suspended.as_object().contains("elapsedMilliseconds"));
  CHECK(admin.view.judged.back() == "device:a");
  CHECK(admin.call({"POST", "/api/v1/devices/a:suspend"}).status == 200);
  CHECK(admin.call({"POST", "/api/v1/devices/a:resume"}).status == 200);
  CHECK(state_of(admin, "a") == "enrolled");
  CHECK(admin.call({"POST", "/api/v1/devices/a:retire"}).status == 200);
  CHECK(admin.registry->is_revoked("5e01"));
  const auto late = admin.call({"POST", "/api/v1/devices/a:resume"});
  CHECK(late.status == 409);
  CHECK(code_of(late) == "invalid_state");
  const auto event = admin.audit->events().back();
  CHECK(event.action == "device.retire");
  CHECK(event.actor == "user:admin");
  CHECK(event.address == "192.0.2.7");
  CHECK(event.object == "device:a");
  CHECK(boost::json::parse(event.detail).at("certificatesRevoked").at(0).as_string() == "5e01");
}

TEST_CASE("actions refuse what they do not know and keep to If-Match") {
  AdminFixture admin;
  const std::string etag = admin.add_device("a", 1);
  for (const std::string name : {"suspend", "resume", "retire", "disconnect"}) {
    CAPTURE(name);
    CHECK(admin.call({"POST", "/api/v1/devices/nobody:" + name}).status == 404);
    const auto extra = admin.call({"POST", "/api/v1/devices/a:" + name, R"({"force":true})"});
    CHECK(extra.status == 422);
    CHECK(code_of(extra) == "unknown_field");
  }
  const auto stale =
      admin.call({"POST", "/api/v1/devices/a:suspend", "", Headers{{"if-match", "\"1-1\""}}});
  CHECK(stale.status == 412);
  CHECK(admin.call({"POST", "/api/v1/devices/a:suspend", "", Headers{{"if-match", etag}}}).status ==
        200);
  CHECK(admin.call({"POST", "/api/v1/devices/a:resume", "", Headers{{"if-match", etag}}}).status ==
        412);
}

TEST_CASE("disconnecting ends sessions and changes nothing") {
  AdminFixture admin;
  const std::string etag = admin.add_device("a", 1);
  const auto answer = admin.call({"POST", "/api/v1/devices/a:disconnect"});
  CHECK(answer.status == 200);
  CHECK(header_of(answer, "ETag") == etag);
  CHECK(boost::json::parse(answer.body).at("sessionsClosed").to_number<int>() == 1);
  CHECK(admin.view.disconnected == std::vector<std::string>{"device:a"});
}

TEST_CASE("a merge changes what it names, null clears, and read-only members are refused") {
  AdminFixture admin;
  const auto created = admin.call(
      {"POST", "/api/v1/devices",
       R"({"id":"a","name":"Pump","model":"p1","serialNumber":"7","tags":["b","a","b"],)"
       R"("attributes":{"site":"north","floor":"2"},"notAfter":"2030-01-01T00:00:00Z"})"});
  REQUIRE(created.status == 201);
  const auto device =
      admin.json({"PATCH", "/api/v1/devices/a",
                  R"({"name":null,"attributes":{"floor":null,"room":"12"},"notAfter":null})",
                  Headers{{"content-type", "application/merge-patch+json"}}});
  CHECK(device.at("name").as_string().empty());
  CHECK(device.at("model").as_string() == "p1");
  CHECK(device.at("tags") == boost::json::parse(R"(["a","b"])"));
  CHECK(device.at("attributes") == boost::json::parse(R"({"room":"12","site":"north"})"));
  CHECK_FALSE(device.as_object().contains("notAfter"));
  CHECK(device.at("revision").to_number<int>() == 2);
  // Nothing new: no new revision.
  CHECK(admin.json({"PATCH", "/api/v1/devices/a", R"({"model":"p1"})"}) == device);
  for (const char* body : {R"({"state":"enrolled"})", R"({"revision":1})", R"({"id":"b"})"}) {
    CAPTURE(body);
    const auto refused = admin.call({"PATCH", "/api/v1/devices/a", body});
    CHECK(refused.status == 422);
    CHECK(code_of(refused) == "field_read_only");
  }
  CHECK(admin.call({"PATCH", "/api/v1/devices/b", "{}"}).status == 404);
  CHECK(admin
            .call({"PATCH", "/api/v1/devices/a", R"({"model":"p2"})",
                   Headers{{"if-match", header_of(created, "ETag")}}})
            .status == 412);
}

TEST_CASE("what was shown can be put back, and a put clears what it does not say") {
  AdminFixture admin;
  admin.add_device("a", 1);
  REQUIRE(admin.record("a", fingerprint(1), "5e01").has_value());
  const auto shown = admin.call({"GET", "/api/v1/devices/a"});
  const auto same = admin.call(
      {"PUT", "/api/v1/devices/a", shown.body, Headers{{"if-match", header_of(shown, "ETag")}}});
  CHECK(same.status == 200);
  CHECK(same.body == shown.body);
  const auto other = admin.call({"PUT", "/api/v1/devices/a", R"({"tags":["x"]})"});
  CHECK(other.status == 200);
  CHECK(boost::json::parse(other.body).at("keys").as_array().empty());
  CHECK(admin.registry->is_revoked("5e01"));
  CHECK_FALSE(admin.registry->find_by_fingerprint(fingerprint(1)));
  CHECK(admin.call({"PUT", "/api/v1/devices/a", R"({"id":"b"})"}).status == 422);
}

TEST_CASE("a put creates, and its conditions say when it must not") {
  AdminFixture admin;
  const Headers create_only{{"if-none-match", "*"}};
  const auto created = admin.call({"PUT", "/api/v1/devices/a", R"({"name":"x"})", create_only});
  CHECK(created.status == 201);
  CHECK(header_of(created, "Location") == "/api/v1/devices/a");
  const auto again = admin.call({"PUT", "/api/v1/devices/a", R"({"name":"y"})", create_only});
  CHECK(again.status == 412);
  CHECK(code_of(again) == "device_exists");
  CHECK(admin.call({"PUT", "/api/v1/devices/b", "{}", Headers{{"if-match", "*"}}}).status == 412);
  CHECK(admin.call({"PUT", "/api/v1/devices/sub", "{}"}).status == 422);
}

TEST_CASE("keys are added, given an end, and removed with their certificates") {
  AdminFixture admin;
  admin.add_device("a", 1);
  admin.add_device("b", 2);
  const std::string body = R"({"fingerprint":")" + fingerprint(3) + R"("})";
  const auto added = admin.call({"POST", "/api/v1/devices/a/keys", body});
  CHECK(added.status == 201);
  CHECK(header_of(added, "Location") == "/api/v1/devices/a/keys/" + fingerprint(3));
  CHECK(admin.call({"POST", "/api/v1/devices/a/keys", body}).status == 200);
  const auto taken = admin.call(
      {"POST", "/api/v1/devices/a/keys", R"({"fingerprint":")" + fingerprint(2) + R"("})"});
  CHECK(taken.status == 409);
  CHECK(code_of(taken) == "key_in_use");
  CHECK(admin.call({"POST", "/api/v1/devices/a/keys", R"({"fingerprint":"x"})"}).status == 422);
  CHECK(admin.call({"POST", "/api/v1/devices/c/keys", body}).status == 404);
  const auto ending = admin.json(
      {"POST", "/api/v1/devices/a/keys",
       R"({"fingerprint":")" + fingerprint(1) + R"(","notAfter":"2027-02-01T00:00:00Z"})"});
  CHECK(ending.at("notAfter").as_string() == "2027-02-01T00:00:00.000Z");
  REQUIRE(admin.record("a", fingerprint(3), "5e03").has_value());
  CHECK(admin.json({"GET", "/api/v1/devices/a/keys"}).at("items").as_array().size() == 2);
  const auto removed =
      admin.call({"DELETE", "/api/v1/devices/a/keys/" + fingerprint(3) + "?reason=keyCompromise"});
  CHECK(removed.status == 200);
  CHECK(boost::json::parse(removed.body).at("sessionsClosed").to_number<int>() == 2);
  CHECK(admin.registry->revocation("5e03")->reason == auth::RevocationReason::key_compromise);
  CHECK(admin.call({"DELETE", "/api/v1/devices/a/keys/" + fingerprint(3)}).status == 404);
  CHECK(
      admin.call({"DELETE", "/api/v1/devices/a/keys/" + fingerprint(1) + "?reason=mood"}).status ==
      400);
}

TEST_CASE("a certificate is revoked by its serial, once") {
  AdminFixture admin;
  admin.add_device("a", 1);
  REQUIRE(admin.record("a", fingerprint(1), "5e01").has_value());
  REQUIRE(admin.record("a", fingerprint(1), "5e02").has_value());
  const auto bad =
      admin.call({"POST", "/api/v1/certificates/5e01:revoke", R"({"reason":"certificateHold"})"});
  CHECK(bad.status == 422);
  const auto revoked =
      admin.call({"POST", "/api/v1/certificates/5E01:revoke", R"({"reason":"superseded"})"});
  CHECK(revoked.status == 200);
  CHECK(admin.view.judged.back() == "device:a");
  const auto again = admin.call({"POST", "/api/v1/certificates/5e01:revoke"});
  CHECK(again.status == 409);
  CHECK(code_of(again) == "already_revoked");
  CHECK(admin.call({"POST", "/api/v1/certificates/77:revoke"}).status == 404);
  const auto list = admin.json({"GET", "/api/v1/devices/a/certificates"}).at("items");
  REQUIRE(list.as_array().size() == 2);
  CHECK(list.at(0).at("serial").as_string() == "5e02");
  CHECK(list.at(0).at("status").as_string() == "good");
  CHECK(list.at(1).at("status").as_string() == "revoked");
  CHECK(list.at(1).at("reason").as_string() == "superseded");
  CHECK(admin.call({"GET", "/api/v1/devices/b/certificates"}).status == 404);
}

TEST_CASE("a pending device is approved by whoever has compared its fingerprint") {
  AdminFixture admin;
  CHECK(wait_for_approval(admin, "sensor-1", 1)->id == "sensor-1");
  const auto list = admin.json({"GET", "/api/v1/devices?state=pending"}).at("items");
  REQUIRE(list.as_array().size() == 1);
  CHECK(list.at(0).at("request").at("address").as_string() == "192.0.2.9");
  const auto wrong = admin.call({"POST", "/api/v1/devices/sensor-1:approve",
                                 R"({"fingerprint":")" + fingerprint(2) + R"("})"});
  CHECK(wrong.status == 409);
  CHECK(code_of(wrong) == "fingerprint_mismatch");
  CHECK(admin.call({"POST", "/api/v1/devices/sensor-1:approve", "{}"}).status == 422);
  CHECK(admin.call({"POST", "/api/v1/devices/sensor-1:suspend"}).status == 409);
  const std::string right = R"({"fingerprint":")" + fingerprint(1) + R"(")";
  CHECK(admin.call({"POST", "/api/v1/devices/sensor-1:approve", right + R"(,"keys":[]})"}).status ==
        422);
  const auto approved = admin.call(
      {"POST", "/api/v1/devices/sensor-1:approve", right + R"(,"id":"hall-1","tags":["lab"]})"});
  CHECK(approved.status == 200);
  CHECK(header_of(approved, "Content-Location") == "/api/v1/devices/hall-1");
  CHECK(admin.call({"GET", "/api/v1/devices/sensor-1"}).status == 404);
  CHECK(state_of(admin, "hall-1") == "preauthorised");
  CHECK(admin.registry->find_by_fingerprint(fingerprint(1))->id == "hall-1");
  const auto late = admin.call({"POST", "/api/v1/devices/hall-1:approve", right + "}"});
  CHECK(late.status == 409);
  CHECK(code_of(late) == "invalid_state");
}

TEST_CASE("a rejected device is gone and its key is refused") {
  AdminFixture admin;
  wait_for_approval(admin, "sensor-1", 1);
  const std::string right = R"({"fingerprint":")" + fingerprint(1) + R"("})";
  CHECK(admin.call({"POST", "/api/v1/devices/nobody:reject", right}).status == 404);
  CHECK(admin.call({"POST", "/api/v1/devices/sensor-1:reject", right}).status == 204);
  CHECK(admin.call({"POST", "/api/v1/devices/sensor-1:reject", right}).status == 404);
  const auto outcome = RegistryFixture::wait([&](auto done) {
    admin.registry->request_approval({fingerprint(1), "x", "", "", ""}, admin.wall, done);
  });
  CHECK(error_of(outcome) == auth::RegistryError::rejected);
}

TEST_CASE("a list by state shows that state alone") {
  AdminFixture admin;
  for (unsigned number = 0; number < 6; ++number) {
    admin.add_device("d" + std::to_string(number), number);
  }
  REQUIRE(admin.call({"POST", "/api/v1/devices/d3:suspend"}).status == 200);
  const auto page = admin.json({"GET", "/api/v1/devices?state=suspended&limit=1"});
  REQUIRE(page.at("items").as_array().size() == 1);
  CHECK(page.at("items").at(0).at("id").as_string() == "d3");
  CHECK(admin.call({"GET", "/api/v1/devices?state=happy"}).status == 400);
}
