// A certificate authority with a key of its own, for targets whose input must come from one.
#pragma once

#include <chrono>

#include "crypto/certificate.hpp"
#include "crypto/key.hpp"

namespace skerry::fuzz {

inline const WallTime now = wall_from_epoch(1'800'000'000'000);

struct Authority {
  crypto::PrivateKey key = *crypto::PrivateKey::generate();
  crypto::Certificate certificate;

  Authority() {
    crypto::CertificateProfile profile;
    profile.common_name = "CA";
    profile.spki_der = key.spki_der();
    profile.not_before = now;
    profile.not_after = now + std::chrono::hours{1};
    profile.is_authority = true;
    certificate = *crypto::issue_certificate(profile, {}, key);
  }
};

}  // namespace skerry::fuzz
