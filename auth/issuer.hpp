// CertificateIssuer: the last step of each enrolment and renewal, whichever way it came: a place in
// the rate, a signature on the signer, a record in the registry, and only then the certificate.
// Whether somebody may have one has been judged before.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "auth/authority.hpp"
#include "auth/refusal.hpp"
#include "auth/registry.hpp"
#include "auth/token_bucket.hpp"
#include "storage/reader_pool.hpp"

namespace skerry::auth {

struct IssuerOptions {
  CertificateAuthority& authority;
  DeviceRegistry& registry;
  storage::ReaderPool& signer;  ///< a pool of one thread, for nothing but signing
  std::function<Now()> clock = [] { return read_clocks(); };
  /// How long the old key of a rotation stays good.
  std::chrono::seconds key_overlap = std::chrono::hours{24};
  double signatures_per_second = 100;  ///< more are answered 429
  double signatures_burst = 200;
  /// One line for each certificate issued. Any thread.
  std::function<void(std::string_view)> log = [](std::string_view) {};
};

struct IssueOrder {
  std::string device;
  std::string spki_der;
  std::string fingerprint;
  std::string replaces = {};  ///< rotation: the key that this one takes over from
  Actor actor = {};
};

struct Issued {
  crypto::Certificate certificate;
  std::string serial;
  WallTime not_after{};
};

using IssueOutcome = Result<Issued, Refusal>;

/// Thread-safe. Held by shared_ptr, since jobs may outlive who ordered them; what the options refer
/// to must outlive the signer's jobs and the committer's completions.
class CertificateIssuer : public std::enable_shared_from_this<CertificateIssuer> {
 public:
  /// Called once, at once or on the signer's or the committer's thread. Must not block.
  using Done = std::function<void(IssueOutcome)>;

  explicit CertificateIssuer(IssuerOptions options);

  /// Never blocks. A key that has an order under way gets no second one (enrolment_in_progress):
  /// of two at the same time exactly one wins.
  void issue(IssueOrder order, Done done);

 private:
  struct Signed {
    crypto::Certificate certificate;
    crypto::CertificateFields fields;
  };
  bool begin(const std::string& fingerprint);
  void end(const std::string& fingerprint);
  void sign_and_record(const IssueOrder& order, const Done& done);
  void record(const IssueOrder& order, const Signed& made, const Done& done);

  IssuerOptions options_;
  TokenBucket bucket_;
  std::mutex mutex_;
  std::set<std::string> under_way_;  ///< keys; bounded by the signer's queue
};

/// What the registry says against a certificate, as an answer to whoever wants one.
Refusal refusal_of(const RegistryFailure& failure);

}  // namespace skerry::auth
