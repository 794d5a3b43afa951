// The published revocation list: signed at once, after each revocation, over crashes with growing
// numbers, and shown on while it cannot be signed.
#include "auth/crl.hpp"

#include <thread>

#include "est_fixture.hpp"

using namespace skerry;
using namespace std::chrono_literals;
using test::start_of_test;

namespace {

struct Publishing {
  test::Enrolment base;
  auth::ServiceRegistry services{*base.fixture.audit};
  boost::asio::io_context io;
  std::shared_ptr<auth::CrlPublisher> publisher;
  std::string log;

  Publishing() { restart(); }
  ~Publishing() {
    publisher->stop();
    io.run();
  }

  void restart() {
    if (publisher) {
      publisher->stop();
      io.run();
      io.restart();
    }
    auth::CrlOptions options{
        *base.authority, *base.fixture.committer, base.signer, [this](WallTime now) {
          return auth::revoked_certificates(*base.fixture.registry, services, now);
        }};
    options.clock = [this] { return base.now; };
    options.log = [this](std::string_view line) { log += line; };
    publisher = std::make_shared<auth::CrlPublisher>(io, std::move(options));
    REQUIRE(publisher->load(*base.fixture.store).ok());
  }

  /// Runs the loop until there is a list with at least this number.
  crypto::CrlFields wait_for(std::uint64_t number) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < end) {
      io.run_for(5ms);
      const auto list = publisher->current();
      if (list && list->number >= number) {
        const auto fields = crypto::read_crl(list->der, base.authority->device_ca());
        REQUIRE(fields.has_value());
        return *fields;
      }
    }
    FAIL("no list");
    return {};
  }

  std::string enrol(const std::string& id) {
    const auto key = *crypto::PrivateKey::generate();
    base.register_key(id, key.spki_der());
    return test::certificate_in(base.enroll_der(*crypto::make_request(key, id))).fields()->serial;
  }
};

}  // namespace

TEST_CASE("the first list comes with the start, the next with a revocation") {
  Publishing world;
  CHECK_FALSE(world.publisher->current());
  world.publisher->start();
  const auto first = world.wait_for(1);
  CHECK(first.number == 1);
  CHECK(first.entries.empty());
  CHECK(first.this_update == start_of_test);
  CHECK(first.next_update == start_of_test + 36h);
  const std::string serial = world.enrol("pump-7");
  REQUIRE(test::RegistryFixture::wait([&](auto done) {
            world.base.fixture.registry->revoke_certificate(
                serial, auth::RevocationReason::privilege_withdrawn,
                test::RegistryFixture::change(), done);
          }).has_value());
  const auto begun = std::chrono::steady_clock::now();
  world.publisher->revoked();
  world.publisher->revoked();
  const auto second = world.wait_for(2);
  CHECK(std::chrono::steady_clock::now() - begun < 1s);
  REQUIRE(second.entries.size() == 1);
  CHECK(second.entries[0].serial == serial);
  CHECK(second.entries[0].reason == 9);
}

TEST_CASE("a burst of revocations shares few lists, and the last one has them all") {
  Publishing world;
  world.publisher->start();
  world.wait_for(1);
  std::vector<std::string> serials;
  for (int number = 0; number < 20; ++number) {
    serials.push_back(world.enrol("d" + std::to_string(number)));
  }
  for (const std::string& serial : serials) {
    REQUIRE(test::RegistryFixture::wait([&](auto done) {
              world.base.fixture.registry->revoke_certificate(
                  serial, auth::RevocationReason::unspecified, test::RegistryFixture::change(),
                  done);
            }).has_value());
    world.publisher->revoked();
    world.io.poll();
  }
  const auto end = std::chrono::steady_clock::now() + 5s;
  while (world.publisher->current()->entries < 20 && std::chrono::steady_clock::now() < end) {
    world.io.run_for(5ms);
  }
  CHECK(world.publisher->current()->entries == 20);
  CHECK(world.publisher->current()->number <= 4);
}

TEST_CASE("a certificate that has run out leaves the list behind one of its regular time") {
  Publishing world;
  const std::string serial = world.enrol("pump-7");
  const WallTime end =
      world.base.fixture.registry->find("pump-7")->keys[0].certificates[0].not_after;
  REQUIRE(test::RegistryFixture::wait([&](auto done) {
            world.base.fixture.registry->revoke_certificate(
                serial, auth::RevocationReason::unspecified, test::RegistryFixture::change(), done);
          }).has_value());
  const auto listed = [&](WallTime now, std::uint64_t number) {
    world.base.now.wall = now;
    world.publisher->revoked();
    return world.wait_for(number).entries.size();
  };
  world.publisher->start();
  CHECK(listed(end - 1h, 1) == 1);
  CHECK(listed(end + 1h, 2) == 1);
  // Of lists in between, for what else is revoked, the readers of the regular ones know nothing.
  CHECK(listed(end + 2h, 3) == 1);
  CHECK(listed(end + 25h, 4) == 1);
  CHECK(listed(end + 73h, 5) == 0);
}

TEST_CASE("numbers grow over restarts, also when the file is gone") {
  Publishing world;
  world.publisher->start();
  world.wait_for(1);
  world.io.run_for(50ms);  // the file is written behind
  world.restart();
  REQUIRE(world.publisher->current());
  CHECK(world.publisher->current()->number == 1);
  world.publisher->start();
  world.wait_for(2);
  world.io.run_for(50ms);
  world.restart();
  std::filesystem::remove(world.base.directory.path + "/ca/device.crl");
  world.restart();
  CHECK_FALSE(world.publisher->current());
  world.publisher->start();
  CHECK(world.wait_for(1).number == 3);
}

TEST_CASE("without the authority's key the list of before is shown on") {
  Publishing world;
  world.publisher->start();
  world.wait_for(1);
  world.io.run_for(50ms);
  const std::string path = world.base.directory.path + "/ca/device-ca.key";
  std::filesystem::rename(path, path + ".away");
  const auto keep = std::move(world.base.authority);
  world.base.authority = auth::CertificateAuthority::open(
      {.data_dir = world.base.directory.path, .server_names = {"localhost"}}, start_of_test);
  world.restart();
  world.publisher->start();
  world.io.run_for(300ms);
  REQUIRE(world.publisher->current());
  CHECK(world.publisher->current()->number == 1);
  CHECK(world.log.find("no new revocation list: the key of the device CA is not at hand") !=
        std::string::npos);
}

TEST_CASE("the list goes out with an ETag, and not again to who has it") {
  Publishing world;
  const auto endpoint = auth::crl_endpoints(world.publisher).front();
  CHECK(endpoint.guard == http::Guard::none);
  CHECK(test::problem_of(test::Enrolment::ask(endpoint, {http::Request{}}).front()) ==
        "503 crl_unavailable");
  world.publisher->start();
  world.wait_for(1);
  http::Request request;
  const auto response = test::Enrolment::ask(endpoint, {request}).front();
  CHECK(response.status == 200);
  CHECK(response.content_type == "application/pkix-crl");
  CHECK(response.body == world.publisher->current()->der);
  REQUIRE(response.headers.front().first == "ETag");
  request.headers["if-none-match"] = response.headers.front().second;
  CHECK(test::Enrolment::ask(endpoint, {request}).front().status == 304);
}
