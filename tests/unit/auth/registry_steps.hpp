// Steps that tests of the registry take, each waiting for its outcome.
#pragma once

#include <doctest/doctest.h>

#include <functional>

#include "auth_fixture.hpp"

namespace skerry::test {

using Step = std::function<auth::RegistryOutcome(RegistryFixture&, const std::string&)>;

inline Step transition(void (auth::DeviceRegistry::*way)(std::string_view, auth::ChangeRequest,
                                                         auth::DeviceRegistry::Done)) {
  return [way](RegistryFixture& fixture, const std::string& id) {
    return RegistryFixture::wait(
        [&](auto done) { ((*fixture.registry).*way)(id, RegistryFixture::change(), done); });
  };
}

inline const Step suspend = transition(&auth::DeviceRegistry::suspend);
inline const Step resume = transition(&auth::DeviceRegistry::resume);
inline const Step retire = transition(&auth::DeviceRegistry::retire);

inline auth::RegistryOutcome update(RegistryFixture& fixture, const std::string& id,
                                    const auth::DevicePatch& patch,
                                    auth::ChangeRequest change = RegistryFixture::change()) {
  return RegistryFixture::wait(
      [&](auto done) { fixture.registry->update(id, patch, change, done); });
}

inline auth::RegistryOutcome add_key(RegistryFixture& fixture, const std::string& id,
                                     const auth::KeyWish& key, Milliseconds later = {}) {
  return RegistryFixture::wait(
      [&](auto done) { fixture.registry->add_key(id, key, RegistryFixture::change(later), done); });
}

inline auth::RegistryOutcome remove_key(RegistryFixture& fixture, const std::string& id,
                                        const std::string& key) {
  return RegistryFixture::wait([&](auto done) {
    fixture.registry->remove_key(id, key, auth::RevocationReason::superseded,
                                 RegistryFixture::change(), done);
  });
}

inline auth::RegistryOutcome revoke(
    RegistryFixture& fixture, const std::string& serial,
    auth::RevocationReason reason = auth::RevocationReason::unspecified) {
  return RegistryFixture::wait([&](auto done) {
    fixture.registry->revoke_certificate(serial, reason, RegistryFixture::change(), done);
  });
}

inline auth::RegistryOutcome ask(RegistryFixture& fixture, unsigned key, const std::string& id,
                                 const std::string& address = "192.0.2.1",
                                 Milliseconds later = {}) {
  return RegistryFixture::wait([&](auto done) {
    fixture.registry->request_approval({fingerprint(key), id, "CN=" + id, "EC P-256", address},
                                       start_of_test + later, done);
  });
}

inline auth::RegistryOutcome approve(RegistryFixture& fixture, const std::string& id, unsigned key,
                                     const std::string& new_id = {}) {
  return RegistryFixture::wait([&](auto done) {
    fixture.registry->approve(id, {fingerprint(key), new_id, {}}, RegistryFixture::change(), done);
  });
}

/// A device "d" with key 1 in this state.
inline void make(RegistryFixture& fixture, auth::DeviceState state) {
  if (state == auth::DeviceState::pending) {
    REQUIRE(ask(fixture, 1, "d").has_value());
    return;
  }
  REQUIRE(fixture.create("d", {fingerprint(1)}).has_value());
  if (state == auth::DeviceState::enrolled) {
    REQUIRE(fixture.record("d", fingerprint(1), "aa").has_value());
  } else if (state == auth::DeviceState::suspended) {
    REQUIRE(suspend(fixture, "d").has_value());
  } else if (state == auth::DeviceState::retired) {
    REQUIRE(retire(fixture, "d").has_value());
  }
}

/// Repeats until the committer has recovered from a failure.
template <typename Try>
auth::RegistryOutcome insist(Try again) {
  auth::RegistryOutcome outcome = again();
  while (!outcome && error_of(outcome) == auth::RegistryError::storage) {
    outcome = again();
  }
  return outcome;
}

}  // namespace skerry::test
