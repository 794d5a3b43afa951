// /api/v1/devices: success, bad input, conflict, preconditions, paging.
#include <doctest/doctest.h>

#include "crypto/encoding.hpp"
#include "unit/admin-api/admin_fixture.hpp"

using namespace skerry;
using namespace skerry::test;

TEST_CASE("a device is created, shown and listed") {
  AdminFixture admin;
  const auto created =
      admin.call({"POST", "/api/v1/devices",
                  R"({"id":"pump-7","keys":[{"fingerprint":")" + fingerprint(1) + R"("}]})"});
  CHECK(created.status == 201);
  CHECK(header_of(created, "Location") == "/api/v1/devices/pump-7");
  const std::string etag = header_of(created, "ETag");
  CHECK(etag.starts_with("\""));
  const auto shown = admin.call({"GET", "/api/v1/devices/pump-7"});
  CHECK(shown.status == 200);
  CHECK(header_of(shown, "ETag") == etag);
  CHECK(shown.body == created.body);
  const auto device = admin.json({"GET", "/api/v1/devices/pump-7"});
  CHECK(device.at("state").as_string() == "preauthorised");
  CHECK(device.at("createdAt").as_string() == "2027-01-15T08:00:00.000Z");
  CHECK(device.at("keys").at(0).at("fingerprint").as_string() == fingerprint(1));
  CHECK(admin.json({"GET", "/api/v1/devices"}).at("items").at(0) == device);
}

TEST_CASE("a public key in PEM is registered by its fingerprint") {
  AdminFixture admin;
  const auto key = crypto::PrivateKey::generate();
  std::string pem = crypto::pem_encode("PUBLIC KEY", key->spki_der());
  for (std::size_t at = 0; (at = pem.find('\n', at)) != std::string::npos; at += 2) {
    pem.replace(at, 1, "\\n");
  }
  const auto created = admin.call(
      {"POST", "/api/v1/devices", R"({"id":"a","keys":[{"publicKey":")" + pem + R"("}]})"});
  CHECK(created.status == 201);
  CHECK(admin.registry->find_by_fingerprint(key->fingerprint()) != nullptr);
}

TEST_CASE("the same id or the same key again is a conflict") {
  AdminFixture admin;
  admin.add_device("a", 1);
  const auto same_id =
      admin.call({"POST", "/api/v1/devices",
                  R"({"id":"a","keys":[{"fingerprint":")" + fingerprint(2) + R"("}]})"});
  CHECK(same_id.status == 409);
  CHECK(code_of(same_id) == "device_exists");
  const auto same_key =
      admin.call({"POST", "/api/v1/devices",
                  R"({"id":"b","keys":[{"fingerprint":")" + fingerprint(1) + R"("}]})"});
  CHECK(same_key.status == 409);
  CHECK(code_of(same_key) == "key_in_use");
}

TEST_CASE("bad bodies are refused with the field at fault") {
  AdminFixture admin;
  struct Case {
    const char* body;
    int status;
    const char* pointer;
  };
  const std::string good = R"([{"fingerprint":")" + fingerprint(1) + R"("}])";
  for (const Case& bad : std::initializer_list<Case>{
           {"", 400, ""},
           {"{", 400, ""},
           {"[]", 400, ""},
           {R"({"keys":[]})", 422, "/id"},
           {R"({"id":7,"keys":[]})", 422, "/id"},
           {R"({"id":"a","keys":null})", 422, "/keys"},
           {R"({"id":"a","state":"enrolled"})", 422, "/state"},
           {R"({"id":"a","name":7})", 422, "/name"},
           {R"({"id":"a","name":"a\u0007b"})", 422, "/name"},
           {R"({"id":"a","tags":"x"})", 422, "/tags"},
           {R"({"id":"a","tags":["x",1]})", 422, "/tags/1"},
           {R"({"id":"a","tags":["x","a;b"]})", 422, "/tags/1"},
           {R"({"id":"a","attributes":[]})", 422, "/attributes"},
           {R"({"id":"a","attributes":{"x":1}})", 422, "/attributes"},
           {R"({"id":"a","attributes":{"x":""}})", 422, "/attributes/x"},
           {R"({"id":"a","attributes":{"a b":"x"}})", 422, "/attributes"},
           {R"({"id":"a","notAfter":"tomorrow"})", 422, "/notAfter"},
           {R"({"id":"a","notAfter":"-1h"})", 422, "/notAfter"},
           {R"({"id":"a","keys":"x"})", 422, "/keys"},
           {R"({"id":"a","keys":["x"]})", 422, "/keys/0"},
           {R"({"id":"a","keys":[{"fingerprint":"12"}]})", 422, "/keys/0/fingerprint"},
           {R"({"id":"a","keys":[{"publicKey":"x"}]})", 422, "/keys/0/publicKey"},
           {R"({"id":"a","keys":[{"other":"x"}]})", 422, "/keys/0"},
           {R"({"id":"a","keys":[],"color":1})", 422, "/color"}}) {
    CAPTURE(bad.body);
    const auto response = admin.call({"POST", "/api/v1/devices", bad.body});
    CHECK(response.status == bad.status);
    CHECK(pointer_of(response) == bad.pointer);
  }
  for (const std::string id : {"", "sub", "-a", "a/b", "a b", "ä"}) {
    CAPTURE(id);
    const auto response =
        admin.call({"POST", "/api/v1/devices", R"({"id":")" + id + R"(","keys":)" + good + "}"});
    CHECK(response.status == 422);
    CHECK(code_of(response) == "invalid_device_id");
    CHECK(pointer_of(response) == "/id");
  }
  CHECK(admin
            .call({"POST",
                   "/api/v1/devices",
                   "id=a",
                   {{"content-type", "application/x-www-form-urlencoded"}}})
            .status == 415);
  CHECK(admin.registry->size() == 0);
}

TEST_CASE("deleting ends the device's sessions before it is answered") {
  AdminFixture admin;
  admin.add_device("a", 1);
  const auto gone = admin.json({"DELETE", "/api/v1/devices/a"});
  CHECK(gone.at("id").as_string() == "a");
  CHECK(gone.at("sessionsClosed").to_number<int>() == 2);  // what the view says
  CHECK(gone.at("elapsedMilliseconds").to_number<int>() == 0);
  CHECK(admin.view.judged == std::vector<std::string>{"device:a"});
  CHECK(admin.call({"GET", "/api/v1/devices/a"}).status == 404);
  const auto again = admin.call({"DELETE", "/api/v1/devices/a"});
  CHECK(again.status == 404);
  CHECK(code_of(again) == "device_not_found");
  CHECK(admin.view.judged.size() == 1);
}

TEST_CASE("If-Match protects a device that has changed") {
  AdminFixture admin;
  const std::string etag = admin.add_device("a", 1);
  CHECK(admin.record("a", fingerprint(1), "0a").has_value());
  const auto stale = admin.call({"DELETE", "/api/v1/devices/a", "", {{"if-match", etag}}});
  CHECK(stale.status == 412);
  CHECK(code_of(stale) == "revision_mismatch");
  const std::string now = header_of(admin.call({"GET", "/api/v1/devices/a"}), "ETag");
  CHECK(now != etag);
  CHECK(admin.call({"GET", "/api/v1/devices/a", "", {{"if-none-match", now}}}).status == 304);
  CHECK(admin.call({"DELETE", "/api/v1/devices/a", "", {{"if-match", "\"x\", " + now}}}).status ==
        200);
}

TEST_CASE("a removal that cannot be stored is 503, but the sessions have ended") {
  AdminFixture admin;
  admin.add_device("a", 1);
  admin.store->fail_write(1, storage::StatusCode::io_error);
  const auto failed = admin.call({"DELETE", "/api/v1/devices/a"});
  CHECK(failed.status == 503);
  CHECK(code_of(failed) == "storage_unavailable");
  CHECK(admin.view.judged.size() == 1);
  CHECK(admin.call({"GET", "/api/v1/devices/a"}).status == 404);
}

TEST_CASE("a list is paged by a cursor to its end") {
  AdminFixture admin;
  for (unsigned number = 0; number < 7; ++number) {
    admin.add_device("d" + std::to_string(number), number);
  }
  std::string ids;
  std::string target = "/api/v1/devices?limit=3";
  for (int page = 0; page < 3; ++page) {
    const auto response = admin.call({"GET", target});
    const auto body = admin.json({"GET", target});
    for (const auto& item : body.at("items").as_array()) {
      ids += item.at("id").as_string().c_str();
    }
    CHECK(body.at("next").is_null() == (page == 2));
    CHECK(header_of(response, "Link").empty() == (page == 2));
    if (page < 2) {
      target = std::string{"/api/v1/devices?limit=3&cursor="} + body.at("next").as_string().c_str();
    }
  }
  CHECK(ids == "d0d1d2d3d4d5d6");
  for (const std::string query :
       {"limit=0", "limit=501", "limit=x", "limit=", "cursor=!", "cursor=YQ", "filters=x"}) {
    CAPTURE(query);
    const auto refused = admin.call({"GET", "/api/v1/devices?" + query});
    CHECK(refused.status == 400);
    CHECK(code_of(refused) == "invalid_parameter");
  }
}
