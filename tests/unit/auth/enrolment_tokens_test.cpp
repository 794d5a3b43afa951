// Enrolment tokens: what they open, how often, and that no crash makes two uses of one.
#include "est_fixture.hpp"

using namespace skerry;
using namespace std::chrono_literals;
using http::Response;
using test::certificate_in;
using test::Enrolment;
using test::problem_of;
using test::start_of_test;

namespace {

auth::EnrolmentToken wish(const std::string& device, std::uint32_t uses = 1) {
  auth::EnrolmentToken token;
  token.device = device;
  token.uses_max = uses;
  token.expires = start_of_test + 1h;
  return token;
}

auth::EnrolmentTokens::Created make(Enrolment& enrolment, auth::EnrolmentToken token) {
  auto created = test::run(
      enrolment.tokens.create(std::move(token), {"user:admin", "192.0.2.7"}, start_of_test));
  REQUIRE(created.status.ok());
  return created;
}

std::string request_of(const crypto::PrivateKey& key) {
  return *crypto::make_request(key, "whatever");
}

}  // namespace

TEST_CASE("a token lets one unknown key in as its device, once") {
  Enrolment enrolment;
  const auto created = make(enrolment, wish("pump-7"));
  CHECK(created.secret.starts_with("ske_"));
  CHECK(created.token.created_by == "user:admin");
  const auto key = *crypto::PrivateKey::generate();
  const auto certificate =
      certificate_in(enrolment.enroll_by_token(request_of(key), "", created.secret));
  CHECK(certificate.fields()->uris.front() == "urn:skerry:device:pump-7");
  CHECK(enrolment.fixture.registry->find("pump-7")->state == auth::DeviceState::enrolled);
  const auto* token = enrolment.tokens.find(created.token.id);
  CHECK(token->uses == 1);
  CHECK(token->last_device == "pump-7");
  const auto other = *crypto::PrivateKey::generate();
  const Response refused = enrolment.enroll_by_token(request_of(other), "pump-7", created.secret);
  CHECK(problem_of(refused) == "401 wrong_token");
  CHECK(refused.headers.back().first == "WWW-Authenticate");
  // Who was let in comes again by its key, with or without the token.
  CHECK(enrolment.enroll_by_token(request_of(key), "pump-7", created.secret).status == 200);
  CHECK(enrolment.enroll_der(request_of(key)).status == 200);
}

TEST_CASE("what is no token opens nothing") {
  Enrolment enrolment;
  const auto created = make(enrolment, wish("pump-7"));
  const std::string der = request_of(*crypto::PrivateKey::generate());
  std::string nearly = created.secret;
  nearly.back() = nearly.back() == 'A' ? 'B' : 'A';
  for (const std::string& secret : {std::string{}, std::string{"ske_"}, nearly,
                                    created.secret + "x", std::string(10'000, 'x')}) {
    CHECK(problem_of(enrolment.enroll_by_token(der, "pump-7", secret)) == "401 wrong_token");
  }
  for (const std::string header : {"Basic", "Basic !", "Bearer x", "Basic QUJD", "x"}) {
    http::Request request;
    request.body = crypto::base64_encode(der);
    request.headers["authorization"] = header;
    CHECK(problem_of(enrolment.ask("simpleenroll", request)) == "401 wrong_token");
  }
  CHECK(enrolment.tokens.find(created.token.id)->uses == 0);
  CHECK(enrolment.fixture.registry->size() == 0);
}

TEST_CASE("a token for one device does not open another") {
  Enrolment enrolment;
  const auto created = make(enrolment, wish("pump-7"));
  const std::string der = request_of(*crypto::PrivateKey::generate());
  CHECK(problem_of(enrolment.enroll_by_token(der, "pump-8", created.secret)) ==
        "403 token_for_another_device");
  CHECK(problem_of(enrolment.enroll_by_token(der, "../x", created.secret)) ==
        "400 invalid_device_id");
  CHECK(enrolment.tokens.find(created.token.id)->uses == 0);
}

TEST_CASE("a template makes new devices of its model and tags, and takes over none") {
  Enrolment enrolment;
  auth::EnrolmentToken token = wish("", 3);
  token.model = "pi4";
  token.tags = {"lab", "north"};
  const auto created = make(enrolment, token);
  const auto taken = *crypto::PrivateKey::generate();
  enrolment.register_key("old", taken.spki_der());
  const auto key = *crypto::PrivateKey::generate();
  CHECK(problem_of(enrolment.enroll_by_token(request_of(key), "", created.secret)) ==
        "400 invalid_device_id");
  CHECK(problem_of(enrolment.enroll_by_token(request_of(key), "old", created.secret)) ==
        "409 device_exists");
  for (const char* id : {"n1", "n2", "n3"}) {
    const auto each = *crypto::PrivateKey::generate();
    CHECK(enrolment.enroll_by_token(request_of(each), id, created.secret).status == 200);
    const auto device = enrolment.fixture.registry->find(id);
    CHECK(device->model == "pi4");
    CHECK(device->tags == std::vector<std::string>{"lab", "north"});
  }
  CHECK(problem_of(enrolment.enroll_by_token(request_of(key), "n4", created.secret)) ==
        "401 wrong_token");
}

TEST_CASE("a token adds a key to the device that it is for, unless that is locked out") {
  Enrolment enrolment;
  const auto old = *crypto::PrivateKey::generate();
  enrolment.register_key("pump-7", old.spki_der());
  const auto created = make(enrolment, wish("pump-7", 2));
  const auto key = *crypto::PrivateKey::generate();
  CHECK(enrolment.enroll_by_token(request_of(key), "", created.secret).status == 200);
  CHECK(enrolment.fixture.registry->find("pump-7")->keys.size() == 2);
  REQUIRE(test::RegistryFixture::wait([&](auto done) {
            enrolment.fixture.registry->retire("pump-7", test::RegistryFixture::change(), done);
          }).has_value());
  const Response refused =
      enrolment.enroll_by_token(request_of(*crypto::PrivateKey::generate()), "", created.secret);
  CHECK(refused.status == 403);
  CHECK(enrolment.tokens.find(created.token.id)->uses == 1);
}

TEST_CASE("a token adds no key to a device that is suspended, and is not used up by trying") {
  Enrolment enrolment;
  const auto old = *crypto::PrivateKey::generate();
  enrolment.register_key("pump-7", old.spki_der());
  const auto created = make(enrolment, wish("pump-7"));
  REQUIRE(test::RegistryFixture::wait([&](auto done) {
            enrolment.fixture.registry->suspend("pump-7", test::RegistryFixture::change(), done);
          }).has_value());
  const auto key = *crypto::PrivateKey::generate();
  CHECK(problem_of(enrolment.enroll_by_token(request_of(key), "", created.secret)) ==
        "403 device_suspended");
  CHECK(enrolment.fixture.registry->find("pump-7")->keys.size() == 1);
  CHECK(enrolment.tokens.find(created.token.id)->uses == 0);
  REQUIRE(test::RegistryFixture::wait([&](auto done) {
            enrolment.fixture.registry->resume("pump-7", test::RegistryFixture::change(), done);
          }).has_value());
  CHECK(enrolment.enroll_by_token(request_of(key), "", created.secret).status == 200);
}

TEST_CASE("an expired token is forgotten when its removal is stored, not before") {
  Enrolment enrolment;
  const auto created = make(enrolment, wish("pump-7"));
  auto& tokens = enrolment.tokens;
  const auto make_another = [&] {
    auth::EnrolmentToken token = wish("pump-8");
    token.expires = start_of_test + 3h;
    return test::run(tokens.create(token, {"user:admin", {}}, start_of_test + 2h)).status.ok();
  };
  enrolment.fixture.store->fail_write(1, storage::StatusCode::full);
  CHECK_FALSE(make_another());
  CHECK(tokens.find(created.token.id) != nullptr);
  enrolment.fixture.store->heal();
  while (!make_another()) {
  }
  CHECK(tokens.find(created.token.id) == nullptr);
  auth::EnrolmentTokens again{*enrolment.fixture.audit};
  REQUIRE(again.load(*enrolment.fixture.store).ok());
  CHECK(again.find(created.token.id) == nullptr);
}

TEST_CASE("of many keys at once a token lets in as many as it has uses") {
  Enrolment enrolment;
  const auto created = make(enrolment, wish("", 2));
  std::vector<http::Request> requests;
  for (int number = 0; number < 8; ++number) {
    requests.push_back(Enrolment::token_request(request_of(*crypto::PrivateKey::generate()),
                                                "n" + std::to_string(number), created.secret));
  }
  const auto table = enrolment.table();
  const auto responses = Enrolment::ask(Enrolment::find(table, "simpleenroll"), requests);
  CHECK(std::count_if(responses.begin(), responses.end(),
                      [](const Response& response) { return response.status == 200; }) == 2);
  CHECK(enrolment.fixture.registry->size() == 2);
}

TEST_CASE("an expired or deleted token is refused") {
  Enrolment enrolment;
  const auto first = make(enrolment, wish("d1"));
  const auto second = make(enrolment, wish("d2"));
  const std::string der = request_of(*crypto::PrivateKey::generate());
  CHECK(test::run(enrolment.tokens.erase(second.token.id, {"user:admin", {}})).found);
  CHECK_FALSE(test::run(enrolment.tokens.erase(second.token.id, {"user:admin", {}})).found);
  CHECK(problem_of(enrolment.enroll_by_token(der, "", second.secret)) == "401 wrong_token");
  enrolment.pass(2h);
  CHECK(problem_of(enrolment.enroll_by_token(der, "", first.secret)) == "401 wrong_token");
}

TEST_CASE("a token whose removal was not stored is refused, and may be removed again") {
  Enrolment enrolment;
  const auto created = make(enrolment, wish("pump-7", 3));
  const std::string& id = created.token.id;
  auto& tokens = enrolment.tokens;
  REQUIRE(tokens.begin_use(id, "pump-7", start_of_test));
  enrolment.fixture.store->fail_write(1, storage::StatusCode::full);
  auto erased = test::run(tokens.erase(id, {"user:admin", {}}));
  CHECK(erased.found);
  CHECK_FALSE(erased.status.ok());
  const auto refused = [&] {
    return tokens.find(id) == nullptr && tokens.list({}, 10).empty() &&
           tokens.find_secret(created.secret, start_of_test) == nullptr &&
           !tokens.begin_use(id, "pump-7", start_of_test);
  };
  CHECK(refused());
  enrolment.fixture.store->heal();
  do {
    erased = test::run(tokens.erase(id, {"user:admin", {}}));
    CHECK(erased.found);
    CHECK(refused());
  } while (erased.found && !erased.status.ok());
  CHECK(erased.status.ok());
  CHECK_FALSE(test::run(tokens.erase(id, {"user:admin", {}})).found);
  auth::EnrolmentTokens again{*enrolment.fixture.audit};
  REQUIRE(again.load(*enrolment.fixture.store).ok());
  CHECK(again.find(id) == nullptr);
}

TEST_CASE("a use that is taken back does not put a token back that is being removed") {
  Enrolment enrolment;
  const auto created = make(enrolment, wish("pump-7", 3));
  const std::string& id = created.token.id;
  REQUIRE(enrolment.tokens.begin_use(id, "pump-7", start_of_test));
  enrolment.fixture.store->fail_write(1, storage::StatusCode::full);
  CHECK_FALSE(test::run(enrolment.tokens.erase(id, {"user:admin", {}})).status.ok());
  enrolment.fixture.store->heal();
  std::string before;
  REQUIRE(enrolment.fixture.store->get(storage::Family::admin, "enrolment/" + id, before).ok());
  enrolment.tokens.cancel_use(id);
  while (!enrolment.fixture.committer->write_and_wait({}).ok()) {
  }
  std::string after;
  REQUIRE(enrolment.fixture.store->get(storage::Family::admin, "enrolment/" + id, after).ok());
  CHECK(after == before);
}

TEST_CASE("use and registration are one commit: what was not stored was not used") {
  Enrolment enrolment;
  const auto created = make(enrolment, wish("pump-7"));
  const auto key = *crypto::PrivateKey::generate();
  enrolment.fixture.store->fail_write(1, storage::StatusCode::full);
  CHECK(problem_of(enrolment.enroll_by_token(request_of(key), "", created.secret)) ==
        "503 storage_unavailable");
  CHECK(enrolment.tokens.find(created.token.id)->uses == 0);
  CHECK_FALSE(enrolment.fixture.registry->find("pump-7"));
}

TEST_CASE("uses survive a restart") {
  Enrolment enrolment;
  const auto created = make(enrolment, wish("", 2));
  const auto key = *crypto::PrivateKey::generate();
  CHECK(enrolment.enroll_by_token(request_of(key), "n1", created.secret).status == 200);
  CHECK(problem_of(enrolment.enroll_by_token(request_of(*crypto::PrivateKey::generate()), "n1",
                                             created.secret)) == "409 device_exists");
  auth::EnrolmentTokens again{*enrolment.fixture.audit};
  REQUIRE(again.load(*enrolment.fixture.store).ok());
  const auto* token = again.find(created.token.id);
  REQUIRE(token != nullptr);
  CHECK(token->uses == 1);
  CHECK(token->uses_max == 2);
  CHECK(token->expires == start_of_test + 1h);
  CHECK(again.find_secret(created.secret, start_of_test) == token);
  std::string stored;
  REQUIRE(
      enrolment.fixture.store->get(storage::Family::admin, "enrolment/" + created.token.id, stored)
          .ok());
  CHECK(stored.find(created.secret) == std::string::npos);
  CHECK(stored.find(crypto::sha256_hex(created.secret)) != std::string::npos);
}
