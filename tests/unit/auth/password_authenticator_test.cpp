// Passwords of services: who gets in, what it costs, and how they end.
#include "auth/password_authenticator.hpp"

#include <doctest/doctest.h>

#include <future>

#include "auth/audit.hpp"
#include "crypto/password.hpp"
#include "unit/auth/auth_fixture.hpp"

using namespace skerry;
using namespace skerry::auth;
using namespace skerry::test;

namespace {

using Answer = Result<plugin::Identity, mqtt::Violation>;

struct PasswordFixture {
  std::unique_ptr<storage::MemoryStore> store = storage::MemoryStore::create();
  std::unique_ptr<storage::Committer> committer =
      std::make_unique<storage::Committer>(*store, storage::CommitterOptions{});
  plugin::PlainAudit audit{*committer};
  ServiceCredentials credentials{audit};
  std::map<std::string, ServiceRights, std::less<>> services{
      {"historian", {"service-read", start_of_test}}};
  SteadyTime steady{};
  WallTime wall = start_of_test;
  std::vector<std::string> changed;
  std::unique_ptr<storage::ReaderPool> pool = std::make_unique<storage::ReaderPool>(2, 64);
  PasswordAuthenticator authenticator{
      {credentials,
       *pool,
       [this](std::string_view name) -> std::optional<ServiceRights> {
         const auto found = services.find(name);
         return found == services.end() ? std::nullopt : std::optional{found->second};
       },
       [this] {
         return Now{steady, wall};
       },
       {.per_address_burst = 3, .per_address_each_second = 0.1}}};

  PasswordFixture() {
    credentials.on_change([this](const std::string& name) { changed.push_back(name); });
  }
  ~PasswordFixture() {
    pool.reset();
    committer.reset();
  }

  storage::StatusCode set(const std::string& service, const std::string& password,
                          WallTime expires = WallTime::max()) {
    ServicePassword made;
    made.hash = *crypto::hash_password(password);
    made.created = wall;
    made.expires = expires;
    made.service_created = services.contains(service) ? services[service].created : wall;
    std::promise<storage::StatusCode> done;
    credentials.put(service, made, {{"user:admin", ""}, ""},
                    [&](const storage::Status& status) { done.set_value(status.code); });
    return done.get_future().get();
  }

  Answer connect(const std::string& name, const std::string& password,
                 const std::string& address = "192.0.2.7:4711") {
    plugin::Credentials shown;
    shown.user_name = name;
    shown.password = password;
    shown.peer_address = address;
    std::promise<Answer> done;
    authenticator.authenticate(shown, steady + std::chrono::seconds{10},
                               [&](Answer answer) { done.set_value(std::move(answer)); });
    return done.get_future().get();
  }
};

mqtt::Reason reason_of(const Answer& answer) {
  return answer ? mqtt::Reason::success : answer.error().reason;
}

constexpr auto wrong = mqtt::Reason::bad_user_name_or_password;

}  // namespace

TEST_CASE("the right password lets a service in under its own policy") {
  PasswordFixture fixture;
  CHECK(fixture.set("historian", "correct horse") == storage::StatusCode::ok);
  const Answer answer = fixture.connect("historian", "correct horse");
  REQUIRE(answer.has_value());
  CHECK(answer->owner() == "service:historian");
  CHECK(answer->policy == plugin::PolicyKind::service_read);
  CHECK(answer->proof == plugin::Proof::password);
  CHECK(reason_of(fixture.connect("historian", "correct horsf")) == wrong);
  CHECK(reason_of(fixture.connect("nobody", "correct horse")) == wrong);
  CHECK(reason_of(fixture.connect("", "")) == wrong);
  CHECK(reason_of(fixture.connect("../etc", "x")) == wrong);
  CHECK(reason_of(fixture.connect("historian", std::string(5000, 'x'))) == wrong);
}

TEST_CASE("guesses are limited for each address, right answers are not") {
  PasswordFixture fixture;
  fixture.set("historian", "correct horse");
  for (int attempt = 0; attempt < 20; ++attempt) {
    CHECK(fixture.connect("historian", "correct horse").has_value());
  }
  for (int attempt = 0; attempt < 3; ++attempt) {
    CHECK(reason_of(fixture.connect("historian", "guess")) == wrong);
  }
  CHECK(reason_of(fixture.connect("historian", "guess")) == mqtt::Reason::connection_rate_exceeded);
  CHECK(reason_of(fixture.connect("historian", "guess", "192.0.2.8:1")) == wrong);
  // Whoever was right before is not locked out by the guesses of a neighbour.
  CHECK(fixture.connect("historian", "correct horse").has_value());
  fixture.steady += std::chrono::seconds{10};
  CHECK(reason_of(fixture.connect("historian", "guess")) == wrong);
}

TEST_CASE("a password that was not looked at in time is no guess") {
  PasswordFixture fixture;
  fixture.set("historian", "correct horse");
  std::promise<void> go_on;
  const std::shared_future<void> gate = go_on.get_future().share();
  for (int thread = 0; thread < 2; ++thread) {
    REQUIRE(fixture.pool->run([gate] { gate.wait(); }));
  }
  plugin::Credentials shown;
  shown.user_name = "historian";
  shown.password = "correct horse";
  shown.peer_address = "192.0.2.7:4711";
  std::vector<std::future<Answer>> answers;
  for (int attempt = 0; attempt < 3; ++attempt) {
    auto done = std::make_shared<std::promise<Answer>>();
    answers.push_back(done->get_future());
    fixture.authenticator.authenticate(
        shown, fixture.steady + std::chrono::milliseconds{1},
        [done](Answer answer) { done->set_value(std::move(answer)); });
  }
  fixture.steady += std::chrono::milliseconds{2};
  go_on.set_value();
  for (std::future<Answer>& answer : answers) {
    CHECK(reason_of(answer.get()) == mqtt::Reason::server_busy);
  }
  for (int attempt = 0; attempt < 3; ++attempt) {
    CHECK(reason_of(fixture.connect("historian", "guess")) == wrong);
  }
  CHECK(reason_of(fixture.connect("historian", "guess")) == mqtt::Reason::connection_rate_exceeded);
}

TEST_CASE("a storm of reconnects hashes once") {
  PasswordFixture fixture;
  fixture.set("historian", "correct horse");
  CHECK(fixture.connect("historian", "correct horse").has_value());
  const auto start = std::chrono::steady_clock::now();
  for (int count = 0; count < 2000; ++count) {
    CHECK(fixture.connect("historian", "correct horse").has_value());
  }
  // Hashed each time this would take 40 s.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{5});
  fixture.steady += password_cache_life;
  CHECK(fixture.connect("historian", "correct horse").has_value());
}

TEST_CASE("a changed, deleted or expired password ends what it has opened") {
  using State = plugin::Standing::State;
  PasswordFixture fixture;
  fixture.set("historian", "first", start_of_test + std::chrono::hours{1});
  const Answer answer = fixture.connect("historian", "first");
  REQUIRE(answer.has_value());
  CHECK(answer->not_after == start_of_test + std::chrono::hours{1});
  CHECK(fixture.authenticator.standing(*answer, fixture.wall).state == State::valid);
  SUBCASE("changed") {
    fixture.set("historian", "second");
    CHECK(fixture.changed.size() == 2);
    CHECK(reason_of(fixture.connect("historian", "first")) == wrong);
    CHECK(fixture.authenticator.standing(*answer, fixture.wall).state == State::denied);
    const Answer second = fixture.connect("historian", "second");
    CHECK(fixture.authenticator.standing(*second, fixture.wall).state == State::valid);
  }
  SUBCASE("deleted") {
    std::promise<void> done;
    fixture.credentials.erase("historian", {}, [&](const storage::Status&) { done.set_value(); });
    done.get_future().get();
    CHECK(reason_of(fixture.connect("historian", "first")) == wrong);
    CHECK(fixture.authenticator.standing(*answer, fixture.wall).state == State::denied);
    fixture.credentials.erase("historian", {}, [](const storage::Status& status) {
      CHECK(status.code == storage::StatusCode::not_found);
    });
  }
  SUBCASE("expired") {
    fixture.wall += std::chrono::hours{1};
    CHECK(reason_of(fixture.connect("historian", "first")) == wrong);
    CHECK(fixture.authenticator.standing(*answer, fixture.wall).state == State::expired);
  }
  SUBCASE("its service has gone, or was made anew") {
    fixture.services["historian"].created += std::chrono::hours{1};
    CHECK(reason_of(fixture.connect("historian", "first")) == wrong);
    CHECK(fixture.authenticator.standing(*answer, fixture.wall).state == State::denied);
    fixture.services.clear();
    CHECK(fixture.authenticator.standing(*answer, fixture.wall).state == State::erased);
  }
  SUBCASE("its service has another policy") {
    fixture.services["historian"].policy = "line-3";
    CHECK(fixture.authenticator.standing(*answer, fixture.wall).state == State::denied);
    CHECK(fixture.connect("historian", "first")->policy_name == "line-3");
  }
}

TEST_CASE("passwords survive a restart and are not stored in plain text") {
  PasswordFixture fixture;
  fixture.set("historian", "correct horse");
  ServiceCredentials again{fixture.audit};
  CHECK(again.load(*fixture.store).ok());
  REQUIRE(again.find("historian"));
  CHECK(again.find("historian")->id == fixture.credentials.find("historian")->id);
  const auto everything = fixture.store->scan(storage::Family::admin, {});
  for (everything->seek_first(); everything->valid(); everything->next()) {
    CHECK(everything->value().find("correct horse") == std::string_view::npos);
  }
}

TEST_CASE("a password that cannot be stored does not hold") {
  PasswordFixture fixture;
  fixture.store->fail_write(1, storage::StatusCode::io_error);
  CHECK(fixture.set("historian", "lost") == storage::StatusCode::io_error);
  fixture.store->heal();
  CHECK_FALSE(fixture.credentials.find("historian"));
  CHECK(reason_of(fixture.connect("historian", "lost")) == wrong);
}

TEST_CASE("a password whose removal was not stored is refused, and may be removed again") {
  PasswordFixture fixture;
  REQUIRE(fixture.set("historian", "first") == storage::StatusCode::ok);
  const auto erase = [&] {
    std::promise<storage::StatusCode> done;
    fixture.credentials.erase("historian", {{"user:admin", ""}, ""},
                              [&](const storage::Status& status) { done.set_value(status.code); });
    return done.get_future().get();
  };
  fixture.store->fail_write(1, storage::StatusCode::full);
  CHECK(erase() == storage::StatusCode::full);
  CHECK_FALSE(fixture.credentials.find("historian"));
  CHECK(reason_of(fixture.connect("historian", "first")) == wrong);
  fixture.store->heal();
  auto status = storage::StatusCode::ok;
  do {
    status = erase();
    CHECK_FALSE(fixture.credentials.find("historian"));
  } while (status == storage::StatusCode::full);
  CHECK(status == storage::StatusCode::ok);
  CHECK(erase() == storage::StatusCode::not_found);
  ServiceCredentials again{fixture.audit};
  REQUIRE(again.load(*fixture.store).ok());
  CHECK_FALSE(again.find("historian"));
}
