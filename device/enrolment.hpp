// The life of the device's certificate: got once, renewed from two thirds of its life, with a new
// key if so configured, by itself and for as long as it takes.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <optional>
#include <string>

#include "device/backoff.hpp"
#include "device/configuration.hpp"
#include "device/est_client.hpp"
#include "device/identity_store.hpp"
#include "device/log.hpp"

namespace skerry::agent {

/// When a certificate is to be renewed: at two thirds of its life and a share of a tenth that its
/// serial decides, so that a fleet which was enrolled at once is not renewed at once.
WallTime renewal_due(const crypto::CertificateFields& fields);

/// One thread. Everything it refers to outlives it.
class Enrolment {
 public:
  struct Context {
    const Configuration& configuration;
    IdentityStore& identity;
    const Log& log;
    /// Certificate and root are there, and one of them is new.
    std::function<void()> ready;
  };

  Enrolment(boost::asio::any_io_executor executor, Context context);

  /// Never ends by itself; ends with the executor's context.
  boost::asio::awaitable<void> run();

  /// The gateway has refused the certificate: ask for another, unless a wait is under way.
  void doubt();

  /// PEM of the root, once it is known.
  const std::string& roots_pem() const noexcept { return roots_pem_; }
  /// Where it lies as a file.
  std::string roots_path() const;
  std::uint64_t renewals() const noexcept { return renewals_; }

 private:
  boost::asio::awaitable<void> find_roots();
  boost::asio::awaitable<void> attempt();
  boost::asio::awaitable<void> pause(Milliseconds wait);
  EstRequest request() const;
  std::string read_token() const;
  void judge(const EstAnswer& answer, const EstRequest& wish);
  bool is_due() const;

  Context context_;
  boost::asio::steady_timer timer_;
  Backoff backoff_;
  std::string roots_pem_;
  std::optional<Milliseconds> told_to_wait_;
  bool doubted_ = false;
  bool holding_back_ = false;     ///< a wait after a failure is under way
  bool renewal_refused_ = false;  ///< the next try enrols anew
  std::uint64_t renewals_ = 0;
};

}  // namespace skerry::agent
