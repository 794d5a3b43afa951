// CrlPublisher: keeps a signed revocation list of the device CA at hand, for third parties that
// trust it; the broker itself asks the registries. Signed anew on schedule and within a second
// after a revocation; many revocations share one list.
//
//   revoked() ─▶ wait (50 ms, and the gap after the last one) ─▶ gather, sign (signer) ─▶ number
//   stored ─▶ file and memory
//
// Numbers only grow, over crashes too: a list is shown when its number is durable. The newest one
// also lies in <data_dir>/ca/device.crl (DER), from where it is shown while it cannot be signed.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "auth/authority.hpp"
#include "auth/registry.hpp"
#include "auth/service_registry.hpp"
#include "base/now.hpp"
#include "crypto/crl.hpp"
#include "http/endpoint.hpp"
#include "storage/committer.hpp"
#include "storage/kv_store.hpp"
#include "storage/reader_pool.hpp"

namespace skerry::auth {

struct Crl {
  std::string der;
  std::string etag;  ///< quoted
  std::uint64_t number = 0;
  WallTime this_update{};
  WallTime next_update{};
  std::size_t entries = 0;
};

using CrlPointer = std::shared_ptr<const Crl>;

struct CrlOptions {
  CertificateAuthority& authority;
  storage::Committer& committer;
  storage::ReaderPool& signer;
  /// What is revoked at that moment. Called on the signer.
  std::function<std::vector<crypto::RevokedCertificate>(WallTime)> revocations;
  std::function<Now()> clock = [] { return read_clocks(); };
  /// From one list to the next when nothing is revoked; each is good for half as long again.
  std::chrono::seconds interval = std::chrono::days{1};
  std::function<void(std::string_view)> log = [](std::string_view) {};
};

/// What `options` refers to must outlive it. Held by shared_ptr, since work on other threads may
/// outlive its owner.
class CrlPublisher : public std::enable_shared_from_this<CrlPublisher> {
 public:
  CrlPublisher(boost::asio::io_context& io, CrlOptions options);

  /// Reads number and file of an earlier run. Once, before start(), on a thread that may block.
  storage::Status load(const storage::KvStore& store);

  /// Signs a first list and keeps at it, on the loop of `io`, until stop().
  void start();
  void stop();

  /// Something was revoked. Any thread, never blocks.
  void revoked();

  /// The newest list; null when none could ever be signed. Any thread.
  CrlPointer current() const;

 private:
  boost::asio::awaitable<void> run();
  boost::asio::awaitable<void> wait();
  boost::asio::awaitable<bool> publish();
  void show(CrlPointer list);
  std::string path() const { return options_.authority.directory() + "/device.crl"; }

  CrlOptions options_;
  boost::asio::steady_timer timer_;
  bool stopped_ = false;
  bool failing_ = false;
  std::atomic<bool> dirty_{true};
  std::uint64_t number_ = 0;
  std::chrono::steady_clock::duration cost_{};  ///< of the last list
  mutable std::mutex mutex_;
  CrlPointer current_;
};

/// What both registries have revoked and has not expired, as a list has it.
std::vector<crypto::RevokedCertificate> revoked_certificates(const DeviceRegistry& devices,
                                                             const ServiceRegistry& services,
                                                             WallTime now);

/// GET /crl/device.crl on the enrolment port: application/pkix-crl, for anybody, with an ETag.
http::EndpointTable crl_endpoints(std::shared_ptr<const CrlPublisher> publisher);

/// The list as an answer: 304 when `request` has it already, 503 when there is none.
http::Response crl_response(const http::Request& request, const CrlPointer& list);

}  // namespace skerry::auth
